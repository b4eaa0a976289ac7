import { once } from 'node:events'
import { unlink } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createRelay, type Relay } from '../../src/cri/relay.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { type Cleanup, temporaryFolder } from './stack.ts'

/** A way to a runtime on which one method can be made to hang, to stop the service right there. */
export interface RuntimeGate {
  /** The socket to be configured. */
  readonly path: string
  /** @param held path of the method that hangs; `reached` resolves when it is called */
  open(held?: string): Promise<{ readonly reached: Promise<void> }>
  /** Breaks all connections and takes the socket away; open() makes it again. */
  close(): Promise<void>
}

export function createRuntimeGate(t: Cleanup, target: string): RuntimeGate {
  const path = join(temporaryFolder(t), 'gate.sock')
  let server: Server
  let relay: Relay

  async function open(held?: string): Promise<{ readonly reached: Promise<void> }> {
    let reach = () => {}
    const reached = new Promise<void>((resolve) => {
      reach = resolve
    })
    const hold = (): Promise<never> => {
      reach()
      return new Promise(() => {})
    }
    relay = createRelay({
      runtimeSocket: target,
      owned: new Map(held === undefined ? [] : [[held, { answer: hold }]]),
      logger: silentLogger(),
    })
    server = createServer((socket) => relay.accept(socket)).listen(path)
    await once(server, 'listening')
    return { reached }
  }

  async function close(): Promise<void> {
    server.close()
    await relay.close({ graceMs: 0 })
    await unlink(path).catch(() => {})
  }

  t.after(close)
  return { path, open, close }
}
