import type { Certificate } from './certificate.ts'
import { type ReceivedRequest, received, startServer, type TestServer } from './http-server.ts'
import type { Cleanup } from './stack.ts'

/** One answer of a script. */
export interface Step {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly body?: string | Buffer
}

export interface ScriptedRegistry extends TestServer {
  readonly requests: readonly ReceivedRequest[]
}

/** Answers the first request with the first step, and so on; what comes after the last gets 500. */
export async function startScriptedRegistry(
  t: Cleanup,
  script: readonly Step[],
  certificate?: Certificate,
): Promise<ScriptedRegistry> {
  const requests: ReceivedRequest[] = []
  const server = await startServer(
    t,
    (request, response) => {
      const step = script[requests.length] ?? { status: 500, body: 'the script is over' }
      requests.push(received(request))
      response.writeHead(step.status, step.headers).end(step.body ?? '')
    },
    certificate,
  )
  return { ...server, requests }
}
