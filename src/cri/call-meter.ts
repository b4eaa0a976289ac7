import { status } from '@grpc/grpc-js'
import type { Metrics } from '../telemetry/counters.ts'
import { methodName } from './method-names.ts'

/** Counts calls as they end, by method and by the name of their gRPC code. */
export function countCalls(calls: Metrics['calls']): (path: string, code: number) => void {
  return (path, code) => calls.add(methodName(path), codeName(code))
}

/** What gRPC has no name for is UNKNOWN to its clients as well. */
function codeName(code: number): string {
  return status[code] ?? 'UNKNOWN'
}
