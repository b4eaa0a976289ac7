import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import type { Cleanup } from './stack.ts'

const HOST = '127.0.0.1'

let sink: Promise<number> | undefined

/**
 * A loopback port that is the test's until it ends, whether a program listens on it or not: while none does,
 * connections to it are refused, and no other process of this machine is given it.
 *
 * The port is that of a connection of ours. Linux gives a port that has one to nobody that asks for any port, and
 * still to those that ask for this one with SO_REUSEADDR: Node, Go and Redis do.
 */
export async function reservePort(t: Cleanup): Promise<number> {
  sink ??= listenToNothing()
  const port = await sink
  const holder = connect({ host: HOST, port, localAddress: HOST, localPort: 0 })
  t.after(() => holder.destroy())
  holder.resume()
  await once(holder, 'connect')
  holder.unref()
  return holder.localPort ?? 0
}

/** One for the whole process, which it does not keep. */
async function listenToNothing(): Promise<number> {
  const server = createServer((socket) => {
    socket.unref().resume()
    socket.on('error', () => {})
  })
  server.listen(0, HOST)
  await once(server, 'listening')
  server.unref()
  return (server.address() as AddressInfo).port
}
