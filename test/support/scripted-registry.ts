import type { ServerResponse } from 'node:http'
import { setTimeout } from 'node:timers/promises'
import type { Certificate } from './certificate.ts'
import {
  type ReceivedRequest,
  readText,
  received,
  startServer,
  type TestServer,
} from './http-server.ts'
import type { Cleanup } from './stack.ts'

/** Which requests a step is for; what is left out matches any. */
export interface Match {
  readonly method?: string
  /** Of the path with its query. */
  readonly path?: RegExp
  /** Whether it carries an Authorization header, or this very one. */
  readonly authorization?: boolean | string
  /** What the registry has to be in; '' before any step said otherwise. */
  readonly state?: string
}

/** One answer of a script. */
export interface Step {
  readonly on?: Match
  /** Absent: no head either, the connection only `ends`. */
  readonly status?: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
  /**
   * What comes after the body. Default `well`; `hang`: nothing, ever; `cut`: the connection is
   * closed; `reset`: it is reset; `drip`: the body itself comes byte by byte, without an end.
   */
  readonly ends?: 'well' | 'hang' | 'cut' | 'reset' | 'drip'
  /** How long it takes to answer, in milliseconds. */
  readonly afterMs?: number
  /** What the registry is in from then on. */
  readonly next?: string
  /** It answers any number of requests, not just one. */
  readonly always?: boolean
}

export interface ScriptedRequest extends ReceivedRequest {
  readonly body: string
}

export interface ScriptedRegistry extends TestServer {
  readonly requests: readonly ScriptedRequest[]
}

const DRIP_MS = 50

/**
 * Answers each request with the first step that is for it and not used up: without conditions, the
 * first request with the first step, and so on. What no step is for gets 500.
 */
export async function startScriptedRegistry(
  t: Cleanup,
  script: readonly Step[],
  certificate?: Certificate,
): Promise<ScriptedRegistry> {
  const requests: ScriptedRequest[] = []
  const used = new Set<number>()
  let state = ''
  const server = await startServer(
    t,
    async (request, response) => {
      const body = await readText(request).catch(() => '')
      const asked = { ...received(request), body }
      requests.push(asked)
      const index = script.findIndex(({ on = {} }, at) => !used.has(at) && isFor(on, asked, state))
      const step = script[index]
      if (step === undefined) return void response.writeHead(500).end('the script is over')
      if (!step.always) used.add(index)
      state = step.next ?? state
      if (step.afterMs !== undefined) await setTimeout(step.afterMs)
      answer(response, step)
    },
    certificate,
  )
  return { ...server, requests }
}

function isFor(on: Match, { headers, method, path }: ReceivedRequest, state: string): boolean {
  const { authorization } = headers
  if (on.state !== undefined && on.state !== state) return false
  if (on.method !== undefined && on.method !== method) return false
  if (on.path !== undefined && !on.path.test(path)) return false
  if (typeof on.authorization === 'string') return on.authorization === authorization
  return on.authorization === undefined || on.authorization === (authorization !== undefined)
}

function answer(response: ServerResponse, step: Step): void {
  const { body = '', ends = 'well', headers = {}, status } = step
  if (status !== undefined) {
    for (const [name, value] of Object.entries(headers)) {
      response.setHeader(name, typeof value === 'string' ? value : [...value])
    }
    response.writeHead(status)
  }
  if (ends === 'well') response.end(body)
  else if (ends === 'drip') drip(response, Buffer.from(body))
  else if (ends === 'hang') {
    if (status !== undefined) response.write(body)
  } else if (status === undefined) close(response, ends)
  else response.write(body, () => close(response, ends))
}

function close({ socket }: ServerResponse, how: 'cut' | 'reset'): void {
  if (how === 'cut') socket?.destroy()
  else socket?.resetAndDestroy()
}

function drip(response: ServerResponse, body: Buffer): void {
  let at = 0
  const timer = setInterval(() => {
    response.write(at < body.length ? body.subarray(at, at + 1) : ' ')
    at += 1
  }, DRIP_MS)
  response.once('close', () => clearInterval(timer))
}
