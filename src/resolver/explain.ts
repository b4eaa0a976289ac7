import type { AttemptOutcome } from '../errors.ts'
import type { Reference } from '../reference/reference.ts'
import { needsConsent, resolvesTags } from './candidates.ts'
import type { Found } from './failover.ts'
import type { CandidateTrace, ResolveTrace } from './trace.ts'
import type { Candidate, CandidateReport, Divergence, Resolution } from './types.ts'

type Digest = { readonly digest: string }

const WHY: Readonly<Record<AttemptOutcome, string>> = {
  ok: 'it comes later',
  not_found: 'it does not have it',
  unauthorized: 'it asks for (other) credentials',
  denied: 'it refuses',
  rate_limited: 'it asks to wait',
  unsupported: 'what it has is no image that can run',
  invalid: 'its answer is not what was asked for',
  unreachable: 'it cannot be reached',
  server_error: 'it is in trouble',
  timeout: 'it did not answer in time',
  canceled: 'it had not answered by then',
  skipped: 'it was not asked',
}

/**
 * What became of every candidate, in order, and why.
 *
 * @param found the answer of the resolution; absent: none had it
 * @param consented the digest that the origin consented to; absent: it was not asked
 */
export function explain(
  reference: Reference,
  trace: ResolveTrace<Digest>,
  found?: Found<Digest>,
  consented?: string,
): readonly CandidateReport[] {
  return trace.traces.map((one, index) => {
    const { attempt, candidate, error, exchanges } = one
    const { startedMs } = one
    const answered = one.answer?.digest ?? one.named
    const digest = answered ?? (candidate.origin ? consented : undefined)
    const divergent = digest !== undefined && found !== undefined && digest !== found.value.digest
    return {
      registry: candidate.registry,
      reference: askedFor(reference, candidate, found, consented),
      priority: candidate.priority,
      origin: candidate.origin,
      chosen: found?.candidate === candidate,
      outcome: attempt?.outcome ?? 'skipped',
      why: divergent
        ? 'passed over: its tag points at another digest'
        : why(one, index, answered, found?.candidate),
      ...(digest !== undefined && { digest }),
      ...(divergent && { divergent }),
      ...(startedMs !== undefined && { startedMs }),
      ...(startedMs !== undefined && attempt !== undefined && { ms: attempt.ms }),
      ...(error !== undefined && { error: { code: error.code, message: error.message } }),
      exchanges,
    }
  })
}

function askedFor(
  reference: Reference,
  candidate: Candidate,
  found: Found<Digest> | undefined,
  consented: string | undefined,
): string {
  const { pullName } = candidate
  const bound = needsConsent(candidate) ? consented : undefined
  const digest = reference.digest ?? bound
  if (digest !== undefined) return `${pullName}@${digest}`
  if (resolvesTags(candidate)) return [pullName, reference.tag].join(':')
  return found === undefined ? pullName : `${pullName}@${found.value.digest}`
}

function why(
  { attempt, candidate }: CandidateTrace<unknown>,
  index: number,
  digest: string | undefined,
  winner: Candidate | undefined,
): string {
  if (attempt === undefined) return notAsked(candidate, winner)
  if (candidate === winner) {
    return index === 0 ? 'chosen: the first in order' : 'chosen: the best one that answered'
  }
  if (digest !== undefined && winner !== undefined) {
    return resolvesTags(candidate)
      ? `has the same image; ${winner.registry} comes before it`
      : 'has what the tag points at; it is asked by digest alone'
  }
  if (attempt.outcome === 'skipped') return attempt.message ?? 'not asked'
  if (attempt.outcome === 'canceled' && winner !== undefined) {
    return `given up: ${winner.registry} answered first`
  }
  if (attempt.outcome === 'not_found' && needsConsent(candidate)) {
    return 'passed over: it does not have the digest that its origin names'
  }
  return `passed over: ${WHY[attempt.outcome]}`
}

function notAsked(candidate: Candidate, winner: Candidate | undefined): string {
  if (winner !== undefined) return `not needed: ${winner.registry} answered first`
  return resolvesTags(candidate)
    ? 'not asked: it was over before'
    : 'not asked: it is asked by digest alone, and no registry said what the tag points at'
}

/** The registries that name another digest by that tag than the answer. */
export function divergencesIn({
  candidates = [],
  digest,
  reference,
  registry,
}: Resolution): readonly Divergence[] {
  const chosen = { registry, digest }
  return candidates.flatMap(({ digest: told, divergent, registry: other }) =>
    divergent === true && told !== undefined
      ? { reference, chosen, other: { registry: other, digest: told } }
      : [],
  )
}

/** Whether another registry answered than the first in order. */
export function isFailover({ candidates, registry, source }: Resolution): boolean {
  const [first] = candidates ?? []
  const isOther = first !== undefined && !first.chosen && first.registry !== registry
  return source === 'registry' && isOther
}
