/** By question, the next one that asks for the same tag; Infinity where there is none. */
export function nextUses(tags: Int32Array): Float64Array {
  const next = new Float64Array(tags.length)
  const seen = new Map<number, number>()
  for (let question = tags.length - 1; question >= 0; question -= 1) {
    const tag = tags[question] ?? 0
    next[question] = seen.get(tag) ?? Number.POSITIVE_INFINITY
    seen.set(tag, question)
  }
  return next
}
