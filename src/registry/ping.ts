import type { Party } from './auth/authorizer.ts'
import { type Question, statusFailure } from './failure.ts'
import { discard } from './response.ts'
import type { RegistrySession } from './session.ts'

export type PingRequest = Party

export interface Ping {
  /** From the question to the head of the answer, a new connection and tokens included. */
  readonly ms: number
  /** 200, or 401 where credentials are wanted and none were given, or not these. */
  readonly status: 200 | 401
}

/**
 * GET of the API's root (distribution-spec, "Determining Support"). Without credentials a 401 is as
 * good an answer as any; with credentials they are used.
 *
 * @throws ResolveError for any other answer, for none, and for a token that cannot be had
 */
export function ping(
  session: RegistrySession,
  request: PingRequest,
  now: () => number,
): Promise<Ping> {
  const { endpoint, credentials } = request
  const question: Question = { host: endpoint.host, subject: 'its API', step: 'manifest' }
  return session.ask(request, question, async () => {
    const startedAt = now()
    const reply = await session.reply({
      party: request,
      method: 'GET',
      path: '',
      headers: { accept: 'application/json' },
      scope: undefined,
      authorize: credentials !== undefined,
    })
    const ms = now() - startedAt
    const { status } = reply
    if (status !== 200 && status !== 401) throw await statusFailure(reply, question, now())
    await discard(reply)
    return { ms, status }
  })
}
