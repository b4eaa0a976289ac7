import type { Answer } from '../resolver/answer.ts'
import { toResolveResponse } from '../resolver/answer-body.ts'

interface Written {
  readonly requested: string
  readonly resolvedAt: number
  readonly text: string
}

/** By the references: each resolution ranks its own, and the cache gives out the same ones. */
const written = new WeakMap<Answer['references'], Written>()

/**
 * The body of an answer as JSON. Writing it takes longer than finding it in the cache, so what
 * comes from the cache is written once, and again only when it is asked for in other words.
 */
export function answerText(answer: Answer, explain: boolean): string {
  const { requested, resolvedAt, references } = answer
  if (answer.source !== 'cache' || answer.node !== undefined || explain) {
    return JSON.stringify(toResolveResponse(answer, explain))
  }
  const known = written.get(references)
  if (known?.requested === requested && known.resolvedAt === resolvedAt) return known.text
  const text = JSON.stringify(toResolveResponse(answer, explain))
  written.set(references, { requested, resolvedAt, text })
  return text
}
