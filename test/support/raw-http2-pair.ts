import { duplexPair } from 'node:stream'
import type { TestContext } from 'node:test'
import { Connection, type ConnectionOptions } from '../../src/http2/connection.ts'
import { PREFACE } from '../../src/http2/frames.ts'
import { RawHttp2End } from './raw-http2-end.ts'

export interface RawPair {
  readonly connection: Connection
  readonly raw: RawHttp2End
  /** With which cause it closed, once it has. */
  readonly closed: Promise<Error | undefined>
}

/** A connection in memory whose other end says what a test wants. */
export function rawPair(
  t: TestContext,
  options: Omit<ConnectionOptions, 'onClosed' | 'onDefect'> & Partial<ConnectionOptions>,
): RawPair {
  const [here, there] = duplexPair()
  const raw = new RawHttp2End(there, options.role === 'client' ? PREFACE.length : 0)
  let onClosed = (_cause: Error | undefined): void => {}
  const closed = new Promise<Error | undefined>((resolve) => {
    onClosed = resolve
  })
  const connection = new Connection(here, { onDefect: raise, ...options, onClosed })
  t.after(() => {
    here.destroy()
    there.destroy()
  })
  return { connection, raw, closed }
}

/** For who has no defects to show. */
export function raise(error: unknown): never {
  throw error
}
