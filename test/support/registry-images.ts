import { RegistryClient, type RegistryClientOptions } from '../../src/registry/client.ts'
import type { ImageRequest } from '../../src/registry/image.ts'
import type { Cleanup } from './stack.ts'

export const AMD64 = { os: 'linux', architecture: 'amd64' }

/** The client under test, its connections ended after the test. */
export function startImages(t: Cleanup, options: RegistryClientOptions = {}): RegistryClient {
  const images = new RegistryClient(options)
  t.after(() => images.close())
  return images
}

/** A question to a test server, as if the operator had configured it. */
export function ask(
  server: { readonly url: string },
  repository: string,
  reference: string,
  fields: Partial<ImageRequest> = {},
): ImageRequest {
  const { protocol, host } = new URL(server.url)
  const scheme = protocol === 'https:' ? 'https' : 'http'
  return {
    endpoint: { scheme, host, prefix: '' },
    repository,
    reference,
    configured: true,
    signal: new AbortController().signal,
    ...fields,
  }
}
