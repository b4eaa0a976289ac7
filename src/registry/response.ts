import type { IncomingHttpHeaders } from 'node:http'
import type { Readable } from 'node:stream'

/** An answer whose body has to be read or discarded: its connection is taken until then. */
export interface RegistryResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Readable
  /** To be called when the body is done with, well or not; the first call counts. */
  ended(): void
}
