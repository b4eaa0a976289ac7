import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { percentile } from '../statistics.ts'
import { inTurns } from '../turns.ts'

// Asks for each URL over and over, in turns: `http-load.ts CONNECTIONS SECONDS TURNS URL...`, where a turn
// takes SECONDS; with BODY in the environment it posts that, with CALLS and IMAGES it asks that often, for
// URL with a number from 0 to IMAGES - 1 behind it. Prints one line of JSON: for each URL its turns,
// LoadResult[][].

export const HTTP_LOAD = fileURLToPath(import.meta.url)

export interface LoadResult {
  readonly answers: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

/** Of an answer in chunks, what is still to come. */
const UNKNOWN = Number.POSITIVE_INFINITY
const LAST_CHUNK = Buffer.from('0\r\n\r\n')
const HEAD_END = '\r\n\r\n'

/**
 * Keep-alive and no pipelining, on bare sockets: a whole HTTP client would cost more than the
 * server it is to measure, and all servers would then be as fast as each other.
 */
async function load(
  urls: readonly string[],
  connections: number,
  seconds: number,
  turns: number,
): Promise<readonly (readonly LoadResult[])[]> {
  const opening = Array.from({ length: connections }, () => urls.map((url) => open(new URL(url))))
  const sockets = await Promise.all(opening.map((each) => Promise.all(each)))
  const results = await inTurns([...urls.keys()], Array(turns).keys(), (side) => {
    const url = urls[side] ?? ''
    const next = process.env['CALLS'] === undefined ? untilTime(url, seconds) : inTurn(url)
    return oneTurn(
      sockets.flatMap((each) => each[side] ?? []),
      next,
    )
  })
  for (const socket of sockets.flat()) socket.destroy()
  return [...results.values()]
}

async function oneTurn(sockets: readonly Socket[], next: Next): Promise<LoadResult> {
  const started = performance.now()
  const ms: number[] = []
  await Promise.all(sockets.map((socket) => askOver(socket, next, ms)))
  const took = (performance.now() - started) / 1000
  return {
    answers: ms.length,
    perSecond: ms.length / took,
    p50Ms: percentile(ms, 0.5),
    p99Ms: percentile(ms, 0.99),
  }
}

async function open({ hostname, port }: URL): Promise<Socket> {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  await once(socket, 'connect')
  return socket
}

function requestFor({ host, pathname, search }: URL): Buffer {
  const body = process.env['BODY']
  const target = `${pathname}${search} HTTP/1.1\r\nhost: ${host}`
  if (body === undefined) return Buffer.from(`GET ${target}${HEAD_END}`)
  const headers = `content-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`
  return Buffer.from(`POST ${target}\r\n${headers}${HEAD_END}${body}`)
}

/** @returns the next request; undefined: that was all */
type Next = () => Buffer | undefined

function untilTime(url: string, seconds: number): Next {
  const request = requestFor(new URL(url))
  const ends = performance.now() + seconds * 1000
  return () => (performance.now() < ends ? request : undefined)
}

function inTurn(url: string): Next {
  const images = Number(process.env['IMAGES'])
  const requests = Array.from({ length: images }, (_, index) =>
    requestFor(new URL(`${url}${index}`)),
  )
  let left = Number(process.env['CALLS'])
  return () => {
    left -= 1
    return left < 0 ? undefined : requests[left % images]
  }
}

/** Adds the time of every answer that came whole. */
function askOver(socket: Socket, next: Next, ms: number[]): Promise<void> {
  return new Promise((resolve, reject) => {
    let missingBytes = 0
    let began = 0
    const ask = (): void => {
      const request = next()
      began = performance.now()
      if (request !== undefined) {
        socket.write(request)
        return
      }
      for (const event of ['error', 'close', 'data']) socket.removeAllListeners(event)
      resolve()
    }
    if (socket.destroyed) reject(new Error('the server hung up between two turns'))
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server hung up')))
    socket.on('data', (chunk) => {
      try {
        if (missingBytes === UNKNOWN) missingBytes = isLast(chunk) ? 0 : UNKNOWN
        else missingBytes = missingBytes === 0 ? missing(chunk) : missingBytes - chunk.length
      } catch (thrown) {
        reject(thrown)
      }
      if (missingBytes > 0) return
      ms.push(performance.now() - began)
      ask()
    })
    ask()
  })
}

/** An answer in chunks is over with the last of them, of no bytes. */
function isLast(chunk: Buffer): boolean {
  return chunk.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
}

/** Bytes of an answer that are still to come after the chunk that its head is in. */
function missing(chunk: Buffer): number {
  const headBytes = chunk.indexOf(HEAD_END) + HEAD_END.length
  const head = chunk.toString('latin1', 0, headBytes)
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
  const isOk = head.startsWith('HTTP/1.1 200 ')
  if (isOk && /\r\ntransfer-encoding: chunked/i.test(head)) return isLast(chunk) ? 0 : UNKNOWN
  if (!isOk || length === undefined) throw new Error(`not ok: ${head}`)
  return headBytes + Number(length) - chunk.length
}

if (process.argv[1] === HTTP_LOAD) {
  const [connections, seconds, turns, ...urls] = process.argv.slice(2)
  const results = await load(urls, Number(connections), Number(seconds), Number(turns))
  process.stdout.write(`${JSON.stringify(results)}\n`)
}
