import { type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'

/** What libuv reads at once. */
const READ_BYTES = 64 * 1024
let shared: Buffer | undefined

/** What Node's own listeners make a socket of; its types do not show it. */
interface Accepted {
  _handle: object | null
}

interface FromHandle extends SocketConstructorOpts {
  readonly handle: object | null
  readonly onread: OnReadOpts
}

/**
 * The same connection, with all that comes by it read into one piece of memory for all connections of this process.
 * Otherwise each read takes 64 KiB until V8 collects, and a flood of them leaves 50 MiB of holes between what stays.
 * Node offers `onread` only for connections that a program makes itself.
 *
 * @param accepted of a server with `pauseOnConnect`, in its 'connection' event; not to be used any more
 * @returns its 'data' shows bytes that are there only until the listener returns, and none wait in it: a pause takes
 *   effect at once
 */
export function withSharedReads(accepted: Socket): Socket {
  const of = accepted as unknown as Accepted
  shared ??= Buffer.allocUnsafeSlow(READ_BYTES)
  const memory = shared
  const callback = (bytes: number): boolean => {
    socket.emit('data', memory.subarray(0, bytes))
    return !socket.isPaused()
  }
  const options: FromHandle = { handle: of._handle, onread: { buffer: memory, callback } }
  const socket = new Socket(options)
  of._handle = null
  // The server counts it among its connections.
  socket.once('close', () => accepted.destroy())
  return socket
}
