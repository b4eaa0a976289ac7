import type {
  Candidate as CandidateBody,
  Exchange as ExchangeBody,
} from '../../api/v1/candidate.ts'
import type { Exchange } from '../registry/image.ts'
import type { CandidateReport } from './types.ts'

/** Field by field: nothing else that a report may carry is ever told. */
export function toCandidateBody(report: CandidateReport): CandidateBody {
  const { digest, divergent, startedMs, ms, error } = report
  return {
    registry: report.registry,
    reference: report.reference,
    priority: report.priority,
    origin: report.origin,
    chosen: report.chosen,
    outcome: report.outcome,
    why: report.why,
    ...(digest !== undefined && { digest }),
    ...(divergent !== undefined && { divergent }),
    ...(startedMs !== undefined && { startedMs }),
    ...(ms !== undefined && { ms }),
    ...(error !== undefined && { error: { code: error.code, message: error.message } }),
    exchanges: report.exchanges.map(toExchangeBody),
  }
}

function toExchangeBody({ method, url, status, ms, rateLimit, warning }: Exchange): ExchangeBody {
  return {
    method,
    url,
    ...(status !== undefined && { status }),
    ms,
    ...(rateLimit !== undefined && { remaining: rateLimit.remaining }),
    ...(warning !== undefined && { warning }),
  }
}
