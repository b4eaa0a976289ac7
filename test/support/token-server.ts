import type { IncomingMessage, ServerResponse } from 'node:http'
import { readText, startServer, type TestServer } from './http-server.ts'
import type { Cleanup } from './stack.ts'

/** One question for a token. */
export interface TokenQuestion {
  readonly method: string
  /** Of the query or the form. */
  readonly params: Readonly<Record<string, string>>
  readonly authorization: string | undefined
}

export interface TokenServerOptions {
  /** Status and body for a question; undefined: a token. */
  readonly answer?: (question: TokenQuestion) => TokenAnswer | undefined
  /** Default: left out. */
  readonly expiresIn?: number
  /** Answers wait for it. */
  readonly gate?: Promise<void>
}

export interface TokenAnswer {
  readonly status: number
  readonly body?: string
}

/** A token service: every question it answers gets a new token, `token-1` and on. */
export interface TokenServer extends TestServer {
  readonly questions: readonly TokenQuestion[]
  /** `Bearer realm=…`, for a registry that trusts it. */
  readonly challenge: string
  /** Whether it gave that token for reading that repository, and has not withdrawn it. */
  accepts(token: string, repository: string): boolean
  /** The tokens so far are worth nothing any more. */
  withdraw(): void
}

export async function startTokenServer(
  t: Cleanup,
  options: TokenServerOptions = {},
): Promise<TokenServer> {
  const questions: TokenQuestion[] = []
  const scopes = new Map<string, string>()
  const server = await startServer(t, async (request, response) => {
    const question = await readQuestion(request)
    questions.push(question)
    await options.gate
    const answer = options.answer?.(question)
    if (answer !== undefined) return send(response, answer.status, answer.body ?? '')
    const token = `token-${scopes.size + 1}`
    scopes.set(token, question.params['scope'] ?? '')
    send(response, 200, JSON.stringify({ token, expires_in: options.expiresIn }))
  })
  return {
    ...server,
    questions,
    challenge: `Bearer realm="${server.url}/token",service="fake",scope="repository:user/image:pull"`,
    accepts: (token, repository) => scopes.get(token) === `repository:${repository}:pull`,
    withdraw: () => {
      for (const token of scopes.keys()) scopes.set(token, '')
    },
  }
}

async function readQuestion(request: IncomingMessage): Promise<TokenQuestion> {
  const { method = '', url = '', headers } = request
  const form = method === 'POST' ? await readText(request) : new URL(url, 'http://x').search
  const params = Object.fromEntries(new URLSearchParams(form))
  return { method, params, authorization: headers.authorization }
}

function send(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(body)
}
