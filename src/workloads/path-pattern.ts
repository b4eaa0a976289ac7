/** Keys from the root of a document; `*` is any one, `**` any number. Lists do not count. */
export type PathPattern = readonly string[]

/**
 * `spec.sidecar.image`, `spec.*.image`, `**.image`; `[]` and `[0]` behind a key may be written and mean nothing.
 *
 * @returns undefined for a path without a key
 */
export function parsePathPattern(text: string): PathPattern | undefined {
  const steps = text.replace(/\[\d*\]/g, '').split('.')
  if (steps[0] === '' || steps[0] === '$') steps.shift()
  return steps.length === 0 || steps.includes('') ? undefined : steps
}

/** @param path keys, and places in lists as numbers */
export function pathMatches(pattern: PathPattern, path: readonly (string | number)[]): boolean {
  const keys = path.filter((step) => typeof step === 'string')
  // By reached[i] the first i steps of the pattern are matched by the keys so far.
  let reached = new Set([0])
  const widen = (): void => {
    for (const at of reached) if (pattern[at] === '**') reached.add(at + 1)
  }
  widen()
  for (const key of keys) {
    const next = new Set<number>()
    for (const at of reached) {
      const step = pattern[at]
      if (step === '**') next.add(at)
      else if (step === '*' || step === key) next.add(at + 1)
    }
    reached = next
    widen()
  }
  return reached.has(pattern.length)
}
