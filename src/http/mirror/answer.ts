import { ResolveError } from '../../errors.ts'
import type { Content } from '../../registry/content.ts'
import { networkFailure, statusFailure } from '../../registry/failure.ts'
import type { ImageRequest } from '../../registry/image.ts'

type Asked = Pick<ImageRequest, 'endpoint' | 'repository' | 'signal'>

/** As large a manifest as the specification asks registries to take. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * The whole body of an answer.
 *
 * @throws ResolveError MANIFEST_INVALID for more than 4 MiB; what a body that breaks off means
 */
export async function readWhole(
  { body, headers }: Content,
  { endpoint, repository, signal }: Asked,
): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = Number(headers['content-length'] ?? 0)
  try {
    if (size > MAX_BYTES) throw tooLarge(repository)
    size = 0
    for await (const chunk of body) {
      const bytes: Buffer = chunk
      size += bytes.length
      if (size > MAX_BYTES) throw tooLarge(repository)
      chunks.push(bytes)
    }
  } catch (thrown) {
    body.destroy()
    const question = { host: endpoint.host, subject: repository, step: 'manifest' } as const
    throw networkFailure(thrown, question, signal)
  }
  return Buffer.concat(chunks)
}

/** The error for an answer that is no success. Reads its body, for as long as the request's signal lets it. */
export async function refusal(
  { endpoint, repository, signal }: Asked,
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

function tooLarge(repository: string): ResolveError {
  return new ResolveError('MANIFEST_INVALID', `${repository}: more than 4 MiB`)
}
