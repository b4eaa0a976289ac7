import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'

/** An answer whose body has to be read or discarded: its connection is taken until then. */
export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Dispatcher.ResponseData['body']
  /** To be called when the body is done with, well or not; the first call counts. */
  ended(): void
}
