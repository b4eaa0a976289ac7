import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'

/** Asks for one URL over and over; a process of its own, as in `load.ts URL CONNECTIONS SECONDS`. */
export const LOAD = fileURLToPath(import.meta.url)

export interface LoadResult {
  readonly requestsPerSecond: number
}

const HEAD_END = '\r\n\r\n'

/**
 * Keep-alive and no pipelining, on bare sockets: a whole HTTP client would cost more than the
 * server it is to measure, and the two would then be as fast as each other.
 */
async function load(url: URL, connections: number, seconds: number): Promise<LoadResult> {
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(url)))
  const started = performance.now()
  const ends = started + seconds * 1000
  const counts = await Promise.all(sockets.map((socket) => askUntil(socket, url, ends)))
  const took = (performance.now() - started) / 1000
  for (const socket of sockets) socket.destroy()
  return { requestsPerSecond: counts.reduce((sum, count) => sum + count, 0) / took }
}

async function open({ hostname, port }: URL): Promise<Socket> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return socket
}

/** @returns how many answers came whole */
function askUntil(socket: Socket, { host, pathname, search }: URL, ends: number): Promise<number> {
  const request = Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nhost: ${host}${HEAD_END}`)
  return new Promise((resolve, reject) => {
    let count = 0
    let missingBytes = 0
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server hung up')))
    socket.on('data', (chunk) => {
      try {
        missingBytes = missingBytes === 0 ? missing(chunk) : missingBytes - chunk.length
      } catch (thrown) {
        reject(thrown)
      }
      if (missingBytes > 0) return
      count += 1
      if (performance.now() < ends) socket.write(request)
      else resolve(count)
    })
    socket.write(request)
  })
}

/** Bytes of an answer that are still to come after the chunk that its head is in. */
function missing(chunk: Buffer): number {
  const headBytes = chunk.indexOf(HEAD_END) + HEAD_END.length
  const head = chunk.toString('latin1', 0, headBytes)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  if (!head.startsWith('HTTP/1.1 200 ') || length === undefined) throw new Error(`not ok: ${head}`)
  return headBytes + Number(length) - chunk.length
}

if (process.argv[1] === LOAD) {
  const [url = '', connections, seconds] = process.argv.slice(2)
  const result = await load(new URL(url), Number(connections), Number(seconds))
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
