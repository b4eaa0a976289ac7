import type { Credentials } from '../registry/credentials.ts'
import { endpointUrl } from '../registry/endpoint.ts'
import type { Candidate } from '../resolver/types.ts'
import { type AuthConfig, withAuth, withoutAuth } from './image-messages.ts'

/**
 * The pull request with the credentials of the registry that will be contacted, and no others: a
 * mirror gets its own or none, never the pod's; the origin gets the pod's exactly as they came.
 * `server_address` is a URL, because containerd sends credentials without one to any host.
 *
 * @param credentials what the resolver shows at that candidate
 */
export function authorize(
  request: Uint8Array,
  candidate: Candidate,
  callers: AuthConfig | undefined,
  credentials: Credentials | undefined,
): Uint8Array {
  if (candidate.origin && callers !== undefined) return request
  if (credentials === undefined) return withoutAuth(request)
  const serverAddress = endpointUrl(candidate.endpoint)
  switch (credentials.kind) {
    case 'basic': {
      const { username, password } = credentials
      return withAuth(request, { username, password, serverAddress })
    }
    case 'identityToken':
      return withAuth(request, { identityToken: credentials.token, serverAddress })
    case 'registryToken':
      return withAuth(request, { registryToken: credentials.token, serverAddress })
  }
}
