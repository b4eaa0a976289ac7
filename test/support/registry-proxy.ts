import { request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { type ReceivedRequest, received, startServer } from './http-server.ts'
import type { Cleanup } from './stack.ts'

/** One request that reached the proxy: `/v2/library/nginx/manifests/latest`. */
export type RecordedRequest = ReceivedRequest

/** What becomes of a request. */
export type ProxyAction =
  | { readonly kind: 'forward' }
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** Taken, and never answered. */
  | { readonly kind: 'hang' }
  /** The connection is cut. */
  | { readonly kind: 'cut' }
  /** The registry's answer with another body, all its headers but the length as they were. */
  | { readonly kind: 'tamper'; readonly body: (body: Buffer) => Buffer }
  /** The registry's answer in so many pieces, each when the promise resolves that is made for it. */
  | { readonly kind: 'drip'; readonly pieces: number; readonly piece: () => Promise<unknown> }

export interface RegistryProxy {
  /** `127.0.0.1:port`, the same through refuse() and accept(). */
  readonly host: string
  readonly url: string
  readonly requests: readonly RecordedRequest[]
  /** Forgets the recorded requests. */
  clear(): void
  /** What becomes of each request from now on; at first all are forwarded. */
  behave(action: ProxyAction | ((request: RecordedRequest) => ProxyAction)): void
  /** Nobody listens any more: connections are refused, open ones cut. */
  refuse(): Promise<void>
  /** Listens again, on the same port, if it does not. */
  accept(): Promise<void>
}

/** @param target of the real registry: `http://127.0.0.1:port` */
export async function startRegistryProxy(t: Cleanup, target: string): Promise<RegistryProxy> {
  const requests: RecordedRequest[] = []
  let decide: (request: RecordedRequest) => ProxyAction = () => ({ kind: 'forward' })
  const { host, start, stop, url } = await startServer(t, (incoming, outgoing) => {
    const request = received(incoming)
    requests.push(request)
    act(decide(request), target, incoming, outgoing)
  })
  return {
    host,
    url,
    requests,
    clear: () => {
      requests.length = 0
    },
    behave: (action) => {
      decide = typeof action === 'function' ? action : () => action
    },
    refuse: stop,
    accept: start,
  }
}

function act(
  action: ProxyAction,
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
): void {
  switch (action.kind) {
    case 'hang':
      return
    case 'cut':
      incoming.socket.destroy()
      return
    case 'answer':
      outgoing.writeHead(action.status, action.headers).end(action.body)
      return
    case 'forward':
      pass(target, incoming, outgoing, undefined)
      return
    case 'tamper':
      pass(target, incoming, outgoing, async (body, head) => {
        const changed = action.body(body)
        head(changed.length)
        outgoing.end(changed)
      })
      return
    case 'drip':
      pass(target, incoming, outgoing, async (body, head) => {
        head(body.length)
        const size = Math.ceil(body.length / action.pieces)
        for (let at = 0; at < body.length && !outgoing.destroyed; at += size) {
          await action.piece()
          outgoing.write(body.subarray(at, at + size))
        }
        outgoing.end()
      })
  }
}

// The Host header stays, so that the locations the registry hands out lead back to the proxy.
function pass(
  target: string,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  send: ((body: Buffer, head: (length: number) => void) => Promise<void>) | undefined,
): void {
  const { method, headers } = incoming
  // One that was kept may be just the one that the registry ends, as where that is started again.
  const asked = { method, headers, agent: false }
  const upstream = forward(new URL(incoming.url ?? '', target), asked, (answer) => {
    if (send === undefined) {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
      return
    }
    const parts: Buffer[] = []
    answer.on('data', (part: Buffer) => parts.push(part))
    answer.on('end', () => {
      void send(Buffer.concat(parts), (length) => {
        const { 'content-length': _, ...others } = answer.headers
        outgoing.writeHead(answer.statusCode ?? 502, { ...others, 'content-length': length })
      })
    })
  })
  upstream.on('error', () => outgoing.destroy())
  outgoing.on('close', () => upstream.destroy())
  incoming.pipe(upstream)
}
