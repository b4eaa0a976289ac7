import { isRuntimeError } from '../runtime/call.ts'

const FAILED_COMMIT = /failed commit on ref "([a-z]{1,32}-[a-z0-9]{1,32}:[0-9a-f]{32,128})"/
/** Of a disk that is full, or a lease that is gone, nothing would be mended by another download. */
const WRONG_BYTES = /failed size validation|unexpected commit (?:digest|size)/

/**
 * The download that containerd could not commit since its bytes are wrong. It goes on from them each
 * time that this digest is pulled, from whichever registry, so that one wrong byte that came once makes
 * every further pull fail.
 *
 * @param thrown by a pull; only its text tells (containerd, content/helpers.go and content/local/writer.go)
 * @returns the ref of the ingest; undefined: it failed for another reason
 */
export function spoiledDownload(thrown: unknown): string | undefined {
  if (!isRuntimeError(thrown) || !WRONG_BYTES.test(thrown.details)) return undefined
  return FAILED_COMMIT.exec(thrown.details)?.[1]
}
