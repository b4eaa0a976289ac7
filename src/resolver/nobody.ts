import { ResolveError } from '../errors.ts'
import { formatReference, type Reference } from '../reference/reference.ts'
import type { Candidate } from './types.ts'

/**
 * The error for a reference of which the configuration lets nobody be asked.
 *
 * @param candidates none, or such as may be asked by digest alone
 * @param mirrorsOnly the pattern that rules out the origin
 */
export function nobodyToAsk(
  reference: Reference,
  candidates: readonly Candidate[],
  mirrorsOnly: string | undefined,
): ResolveError {
  const what = formatReference(reference)
  const reasons = [
    ...(mirrorsOnly === undefined
      ? []
      : [`\`mirrorsOnly\` has ${mirrorsOnly}, so its origin is not`]),
    candidates.length === 0
      ? 'no entry of `registries` serves it: add one, or name it in `upstreams`'
      : `\`capabilities\` of ${list(candidates)} lack \`resolve\`: add that, or ask by digest`,
  ]
  return new ResolveError('DENIED', `${what}: nobody may be asked; ${reasons.join('; ')}`)
}

function list(candidates: readonly Candidate[]): string {
  return candidates.map(({ registry }) => registry).join(', ')
}
