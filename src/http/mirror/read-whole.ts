import { ResolveError } from '../../errors.ts'
import type { Content } from '../../registry/content.ts'
import { networkFailure } from '../../registry/failure.ts'
import type { ImageRequest } from '../../registry/image.ts'

/** As large a manifest as the specification asks registries to take. */
const MAX_BYTES = 4 * 1024 * 1024

/** @throws ResolveError MANIFEST_INVALID for more than 4 MiB; what a body that breaks off means */
export async function readWhole(
  { body, headers }: Content,
  { endpoint, repository, signal }: Pick<ImageRequest, 'endpoint' | 'repository' | 'signal'>,
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

function tooLarge(repository: string): ResolveError {
  return new ResolveError('MANIFEST_INVALID', `${repository}: more than 4 MiB`)
}
