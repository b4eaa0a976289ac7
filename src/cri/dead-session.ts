import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'

const LOOK_MS = 20_000
const LOOKS = 3

/**
 * Ends a session whose client has not said a word for three looks, though it was sent a PING at each.
 *
 * Clients that hang up are noticed without this, but for those that first broke the rules of framing
 * or header compression, or reset more calls than is decent: Node 20's HTTP/2 engine then stops to
 * read and sees no end of the connection. Its socket, and the calls in it, would stay for ever.
 *
 * @param connection below the session
 * @param lookMs between two looks. Default 20 s, so that a client may be stopped for a minute
 */
export function endWhenDead(
  session: ServerHttp2Session,
  connection: Pick<Socket, 'bytesRead'>,
  lookMs: number = LOOK_MS,
): void {
  let heardBytes = -1
  let silentLooks = 0
  const timer = setInterval(() => {
    silentLooks = connection.bytesRead === heardBytes ? silentLooks + 1 : 0
    heardBytes = connection.bytesRead
    if (silentLooks >= LOOKS) session.destroy()
    else if (!session.destroyed) session.ping(() => {})
  }, lookMs)
  timer.unref()
  session.once('close', () => clearInterval(timer))
}
