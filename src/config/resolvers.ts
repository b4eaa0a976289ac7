import { type Endpoint, isLoopbackHost, parseAddress } from '../registry/endpoint.ts'
import { parseAbsolutePath, parseSecretPath } from './addresses.ts'
import type { ResolverEntry } from './config.ts'
import { type Diagnostics, joinPath, refusal } from './diagnostics.ts'
import type { DecodedConfig } from './schema.ts'

/** What holds of `resolvers:`. Beside a store it is refused: a node that reaches the store needs no service in between. */
export function resolverEntries(
  { cache, resolvers = [] }: Pick<DecodedConfig, 'cache' | 'resolvers'>,
  diagnostics: Diagnostics,
): readonly ResolverEntry[] {
  if (resolvers.length > 0 && cache?.shared !== undefined) {
    const how = 'keep cache.shared where the store can be reached, else resolvers'
    diagnostics.problem('resolvers', `cache.shared is set too: ${how}`)
  }
  return resolvers.flatMap((entry, index) => {
    const place = joinPath('resolvers', index)
    const endpoint = diagnostics.parse(joinPath(place, 'url'), entry?.url, parseUrl)
    const ca = diagnostics.parse(joinPath(place, 'ca'), entry?.ca, parseAbsolutePath)
    const tokenFile = diagnostics.parse(
      joinPath(place, 'tokenFile'),
      entry?.tokenFile,
      parseSecretPath,
    )
    if (endpoint === undefined) return []
    const tls = ca === undefined ? {} : { tls: { caFiles: [ca] } }
    return [{ endpoint: { ...endpoint, ...tls }, tokenFile }]
  })
}

/** What it answers is believed, so that nothing in between may change it. */
function parseUrl(text: string): Endpoint {
  const endpoint = parseAddress(text)
  if (endpoint.scheme === 'https' || isLoopbackHost(endpoint.host)) return endpoint
  throw refusal('what lies between could say what an image is: write https://')
}
