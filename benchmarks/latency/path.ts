import type { Cleanup } from '../../test/support/stack.ts'
import type { Sample } from '../statistics.ts'

/** One way that a resolution can go. */
export interface LatencyPath {
  /** The same for all round-trip times. */
  readonly kind: string
  /** As the table has it. */
  readonly name: string
  /** One round, with a resolver of its own. */
  run(cleanup: Cleanup, round: number): Promise<Sample>
}
