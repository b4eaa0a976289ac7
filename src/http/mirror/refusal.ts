import type { ResolveError } from '../../errors.ts'
import type { Content } from '../../registry/content.ts'
import { statusFailure } from '../../registry/failure.ts'
import type { ImageRequest } from '../../registry/image.ts'

/** The error for an answer that is no success. Reads its body, for as long as the request's signal lets it. */
export async function refusal(
  { endpoint, repository, signal }: Pick<ImageRequest, 'endpoint' | 'repository' | 'signal'>,
  { status, headers, body }: Content,
  now: number,
): Promise<ResolveError> {
  const leave = (): void => void body.destroy()
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    const reply = { status, headers, body, ended: () => {} }
    const question = { host: endpoint.host, subject: repository, step: 'manifest' } as const
    return await statusFailure(reply, question, now)
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
