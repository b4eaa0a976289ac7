import { ResolveError, toResolveError } from '../errors.ts'
import type { CandidateReport } from './types.ts'

/** The error of an inquiry, with its whole story. */
export class UnresolvedError extends ResolveError {
  readonly candidates: readonly CandidateReport[]

  /** @param details `cause`: what ended the inquiry, whose code, message and attempts it takes over */
  constructor(candidates: readonly CandidateReport[], details: { readonly cause: unknown }) {
    const cause = toResolveError(details.cause)
    const { attempts, code, found, message, retryAfterMs, status, step } = cause
    super(code, message, {
      attempts,
      cause,
      ...(step !== undefined && { step }),
      ...(status !== undefined && { status }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
      ...(found !== undefined && { found }),
    })
    this.candidates = candidates
  }
}

/** The whole story of what ended in an error; empty where no registry was asked by that very call. */
export function storyOf(error: ResolveError): readonly CandidateReport[] {
  return error instanceof UnresolvedError ? error.candidates : []
}
