import { toResolveResponse } from '../resolver/answers.ts'
import type { Answer } from '../resolver/types.ts'
import { entityTag } from './etag.ts'

/** An answer as it is sent. */
export interface WrittenAnswer {
  readonly text: string
  readonly etag: string
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
  const text = JSON.stringify(toResolveResponse(answer, false))
  const written = { text, etag: entityTag(text) }
  kept.set(references, { requested, resolvedAt, written })
  return written
}
