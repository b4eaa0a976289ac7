import { PULL_EXPLANATION } from '../errors.ts'
import type { Reference } from '../reference/reference.ts'
import type { Candidate } from '../resolver/types.ts'
import { isConnectionLost, isRuntimeError } from '../runtime/call.ts'
import type { ImageNames, NodeImage } from '../runtime/types.ts'
import { wantedNames } from './names.ts'

/** Texts of Go's network code, and of containerd's resolver for 429 and 5xx. */
const UNREACHED =
  /: dial tcp|no such host|i\/o timeout|TLS handshake timeout|connection reset by peer|\bstatus\b.*: (?:429|5\d\d)\b/

/** A valid name; whether there is such an image does not matter. */
const PROBED_IMAGE = 'localhost/image-resolver:probe'

export interface MirrorImage {
  readonly imageId: string
  /** The name under which it was found. */
  readonly from: string
}

/** The runtime, as far as images are looked up in it. */
export interface ImageLookup {
  imageStatus(
    image: string,
    options: { readonly signal?: AbortSignal },
  ): Promise<NodeImage | undefined>
}

/**
 * Names an image that is on the node under a mirror's name, as a shim without names of its own leaves it,
 * so that an air-gapped node starts its pods while every registry is down. An image under the
 * reference's own name is not looked for: a pull of it is a question to a registry.
 *
 * @returns undefined when no mirror's name is there
 * @throws RuntimeError, or ResolveError DIGEST_INVALID, as ImageNames.name
 */
export async function nameFromMirror(
  reference: Reference,
  candidates: readonly Candidate[],
  node: ImageLookup,
  names: ImageNames,
  signal: AbortSignal,
): Promise<MirrorImage | undefined> {
  for (const { origin, pullName } of candidates) {
    if (origin) continue
    const from = `${pullName}${reference.digest === undefined ? `:${reference.tag}` : `@${reference.digest}`}`
    const image = await node.imageStatus(from, { signal })
    // The runtime also accepts the beginning of an ID.
    if (image === undefined || ![...image.repoTags, ...image.repoDigests].includes(from)) continue
    const digest = image.repoDigests.find((name) => name.startsWith(`${pullName}@`))?.split('@')[1]
    const wanted = wantedNames(reference, digest)
    if (await names.name(from, wanted, { signal })) return { imageId: image.id, from }
  }
  return undefined
}

/**
 * Whether the runtime could not reach a registry, so that the registry has not refused its image.
 *
 * @param thrown by a relayed pull; its text has to name the registry's host
 */
export function isUnreached(thrown: unknown, domain: string): boolean {
  if (!isRuntimeError(thrown)) return false
  const [text = ''] = thrown.details.split(PULL_EXPLANATION)
  const host = domain === 'docker.io' ? 'registry-1.docker.io' : domain
  const isOfHost = text.includes(`//${host}/`) || text.includes(` host ${host} `)
  return isOfHost && UNREACHED.test(text)
}

/**
 * Whether a pull failed because the runtime is gone, so that no registry is to blame. A runtime that
 * stops cancels its pulls, and then answers nothing. A runtime that still answers has cancelled the pull
 * because the registry sent nothing (containerd's `image_pull_progress_timeout`).
 */
export async function isRuntimeGone(thrown: unknown, runtime: ImageLookup): Promise<boolean> {
  if (isConnectionLost(thrown)) return true
  if (!isRuntimeError(thrown) || !thrown.details.endsWith('context canceled')) return false
  return await runtime.imageStatus(PROBED_IMAGE, {}).then(
    () => false,
    () => true,
  )
}
