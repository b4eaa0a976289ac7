import { LRUCache } from 'lru-cache'
import { type Reference, repositoryName } from '../../reference/reference.ts'
import type { Content } from '../../registry/response.ts'

/** One range; a server may ignore any other wish (RFC 9110, section 14.2). */
export const RANGE = /^bytes=(?:\d+-\d*|-\d+)$/
const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i
const UNSATISFIED = /^bytes \*\/(\d{1,15})$/i
const MULTIPART = /^\s*multipart\/byteranges/i
/** More than that has no image; its blobs then have no known size. */
const MAX_MANIFEST_BYTES = 256 * 1024
const MAX_SIZES = 4_096

/**
 * Why an answer to a request with `Range` is not the part that was asked for. containerd writes what it gets
 * at the place where it goes on, and a blob that is wrong in the end is not fetched again by 1.6 and 1.7.
 *
 * @param range as RANGE has it
 * @param size of the whole blob; undefined: not known
 * @returns undefined for the whole of the part, for the whole blob, and for other statuses
 */
export function wrongPart(
  { status, headers }: Content,
  range: string,
  size: number | undefined,
): string | undefined {
  if (status === 416) return wrongRefusal(headers['content-range'] ?? '', range, size)
  if (status !== 206) return undefined
  const { 'content-type': type = '', 'content-encoding': encoding = 'identity' } = headers
  if (MULTIPART.test(type)) return 'multipart/byteranges instead of the one part'
  // What a server sends twice is a list here.
  if (!/^identity$/i.test(encoding)) return `a part with Content-Encoding ${encoding}`
  const told = headers['content-range']
  if (told === undefined) return 'a part without a Content-Range'
  const part = CONTENT_RANGE.exec(told)
  if (part === null) return `a part with Content-Range ${told}`
  const [, first, last, whole] = part
  const total = whole === '*' ? size : Number(whole)
  const wrong = `Content-Range ${told} for ${range}`
  if (size !== undefined && total !== size) return `${wrong}, and the blob has ${size} bytes`
  if (!isAsked(range, Number(first), Number(last), total)) return wrong
  const length = headers['content-length']
  if (length !== undefined && Number(length) !== Number(last) - Number(first) + 1) {
    return `${wrong} with Content-Length ${length}`
  }
  return undefined
}

/** Bytes of the part that an answer of 206 has, which wrongPart() has let through; undefined: no part. */
export function partBytes({ status, headers }: Content): number | undefined {
  if (status !== 206) return undefined
  const [, first, last] = CONTENT_RANGE.exec(headers['content-range'] ?? '') ?? []
  return Number(last) - Number(first) + 1
}

/** A shorter part than was asked for would be allowed, but clients take it for the whole of theirs. */
function isAsked(range: string, first: number, last: number, total: number | undefined): boolean {
  if (last < first || (total !== undefined && last >= total)) return false
  const [from = '', to = ''] = range.slice('bytes='.length).split('-')
  const end = total === undefined ? undefined : total - 1
  if (from === '') {
    const bytes = last - first + 1
    if (total === undefined) return bytes <= Number(to)
    return last === end && bytes === Math.min(Number(to), total)
  }
  if (first !== Number(from)) return false
  if (to === '') return end === undefined || last === end
  return last === Math.min(Number(to), end ?? Number(to))
}

function wrongRefusal(told: string, range: string, size: number | undefined): string | undefined {
  const [from = ''] = range.slice('bytes='.length).split('-')
  const total = size ?? Number(UNSATISFIED.exec(told)?.[1] ?? 0)
  if (from === '' || Number(from) >= total) return undefined
  return `416 for ${range}, and the blob has ${total} bytes`
}

/** How large blobs are: what the manifests that were handed on say of them. */
export class BlobSizes {
  readonly #sizes = new LRUCache<string, number>({ max: MAX_SIZES })

  /** @returns undefined: not known */
  of(reference: Reference): number | undefined {
    return this.#sizes.get(sizeKey(reference, reference.digest))
  }

  /** @param manifest of a verified digest, or anything else */
  learn(reference: Reference, manifest: Buffer): void {
    if (manifest.length > MAX_MANIFEST_BYTES) return
    try {
      const { config, layers } = JSON.parse(manifest.toString())
      for (const each of [config, ...(Array.isArray(layers) ? layers : [])]) {
        const { digest, size } = each ?? {}
        if (Number.isSafeInteger(size)) this.#sizes.set(sizeKey(reference, digest), size)
      }
    } catch {
      // No manifest that names blobs.
    }
  }
}

/** A manifest is believed for its own repository alone. */
function sizeKey(reference: Reference, digest: unknown): string {
  return `${repositoryName(reference)} ${digest}`
}
