import { Histogram } from './histogram.ts'
import { Tally } from './tally.ts'

/** How a resolution ended: whose answer it was, or that there is none. */
export type ResolutionSource = 'cache' | 'registry' | 'stale' | 'failed'

/** What the service counts while it works. Labels name registries, methods and codes, never images. */
export class Meters {
  readonly resolutions: Readonly<Record<ResolutionSource, Histogram>> = {
    cache: new Histogram(),
    registry: new Histogram(),
    stale: new Histogram(),
    failed: new Histogram(),
  }
  /** Resolutions without an answer, by error code. */
  readonly failures = new Tally(['code'])
  /** Resolutions that another registry than the first one asked answered. */
  failovers = 0
  /** Places that named another digest by a tag than the answer, where one resolution asked both. */
  divergences = 0
  /** Requests to registries; `status` is `none` where no answer came. */
  readonly exchanges = new Tally(['registry', 'method', 'status'])
  /** Calls at the CRI door, by gRPC method and status code. */
  readonly calls = new Tally(['method', 'code'])
  readonly pulls = { inFlight: 0, pulled: 0, failed: 0, passedOn: 0 }
  readonly configuration = { generation: 1, loadedAt: 0, lastReloadFailed: false }
}
