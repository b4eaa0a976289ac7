import { toResolveResponse } from '../resolver/bodies.ts'
import type { Answer } from '../resolver/types.ts'
import { entityTag, gzippedTag } from './etag.ts'
import { gzippedNow, isWorthGzip } from './gzip.ts'

/** An answer as it is sent. */
export interface WrittenAnswer {
  readonly text: string
  readonly bytes: number
  readonly etag: string
  /** Absent where it does not pay. */
  readonly gzip?: { readonly body: Buffer; readonly etag: string }
}

interface Kept {
  readonly requested: string
  readonly resolvedAt: number
  readonly written: WrittenAnswer
}

/** By the references: each resolution ranks its own, and the cache gives out the same ones. */
const kept = new WeakMap<Answer['references'], Kept>()

/**
 * The body of an answer as JSON.
 *
 * @param all tell of every candidate
 */
export function answerText(answer: Answer, explain: boolean, all = false): string {
  if (answer.source !== 'cache' || answer.node !== undefined || explain || all) {
    return JSON.stringify(toResolveResponse(answer, explain, explain || all))
  }
  return writtenAnswer(answer).text
}

/**
 * An answer from the cache. Writing it takes longer than finding it there, so that it is done once,
 * and again only when it is asked for in other words.
 */
export function writtenAnswer(answer: Answer): WrittenAnswer {
  const { requested, resolvedAt, references } = answer
  const known = kept.get(references)
  if (known?.requested === requested && known.resolvedAt === resolvedAt) return known.written
  const written = write(JSON.stringify(toResolveResponse(answer, false)))
  kept.set(references, { requested, resolvedAt, written })
  return written
}

function write(text: string): WrittenAnswer {
  const bytes = Buffer.byteLength(text)
  const etag = entityTag(text)
  if (!isWorthGzip(text)) return { text, bytes, etag }
  return { text, bytes, etag, gzip: { body: gzippedNow(text), etag: gzippedTag(etag) } }
}
