import { connect, type OnReadOpts, Socket, type SocketConstructorOpts } from 'node:net'

/** What libuv reads at once. */
const READ_BYTES = 64 * 1024
let memory: Buffer | undefined

/** What Node's own listeners make a socket of; its types do not show it. */
interface Accepted {
  _handle: object | null
}

interface FromHandle extends SocketConstructorOpts {
  readonly handle: object | null
  readonly onread: OnReadOpts
}

/**
 * A new connection to a unix socket. All such connections are read into one piece of memory: otherwise each read takes
 * 64 KiB until V8 collects, and a flood leaves 50 MiB of holes between what stays.
 *
 * @returns its 'data' shows bytes that are there only until the listener returns, and none wait in it: a pause takes
 *   effect at once
 */
export function connectWithSharedReads(path: string): Socket {
  const socket: Socket = connect({ path, onread: intoSharedMemory(() => socket) })
  return socket
}

/**
 * The same for a connection that was accepted: Node has `onread` only for those that a program makes itself.
 *
 * @param accepted of a server with `pauseOnConnect`, in its 'connection' event; not to be used any more
 */
export function withSharedReads(accepted: Socket): Socket {
  const of = accepted as unknown as Accepted
  const options: FromHandle = {
    handle: of._handle,
    onread: intoSharedMemory(() => socket),
  }
  const socket = new Socket(options)
  of._handle = null
  // The server counts it among its connections.
  socket.once('close', () => accepted.destroy())
  return socket
}

function intoSharedMemory(socketOf: () => Socket): OnReadOpts {
  memory ??= Buffer.allocUnsafeSlow(READ_BYTES)
  const buffer = memory
  const callback = (bytes: number): boolean => {
    const socket = socketOf()
    socket.emit('data', buffer.subarray(0, bytes))
    return !socket.isPaused()
  }
  return { buffer, callback }
}
