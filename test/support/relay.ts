import { once } from 'node:events'
import { createServer } from 'node:net'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { createRelay, type Relay, type RelayOptions } from '../../src/cri/relay.ts'
import { withSharedReads } from '../../src/host/shared-reads.ts'
import { type FakeRuntime, startFakeRuntime } from './fake-runtime.ts'
import { temporaryFolder } from './stack.ts'

export interface RelaySetup {
  readonly runtime: FakeRuntime
  readonly relay: Relay
  /** Where clients connect. */
  readonly path: string
}

/** A fake runtime with a relay in front, both on sockets of their own, both gone with the test. */
export async function startRelay(
  t: TestContext,
  options: Partial<RelayOptions> = {},
): Promise<RelaySetup> {
  const folder = temporaryFolder(t)
  const runtime = await startFakeRuntime(t, `${folder}/runtime.sock`)
  const relay = createRelay({
    runtimeSocket: runtime.path,
    owned: new Map(),
    logger: pino({ level: 'silent' }),
    ...options,
  })
  const path = `${folder}/shim.sock`
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    relay.accept(withSharedReads(socket))
  })
  server.listen(path)
  await once(server, 'listening')
  t.after(async () => {
    server.close()
    await relay.close({ graceMs: 0 })
  })
  return { runtime, relay, path }
}
