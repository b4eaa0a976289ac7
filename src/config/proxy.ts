import { ResolveError } from '../errors.ts'
import type { ProxyConfig } from './config.ts'
import type { DecodedConfig } from './decode.ts'
import type { Diagnostics } from './diagnostics.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/**
 * The proxies of `proxy:`, or where there is no such section, of the environment: HTTP_PROXY,
 * HTTPS_PROXY and NO_PROXY, then their lower-case names, as in containerd. An empty section is how
 * a file says "none".
 */
export function proxyConfig(
  decoded: DecodedConfig['proxy'],
  env: Environment,
  diagnostics: Diagnostics,
): ProxyConfig {
  if (decoded === undefined) return fromEnvironment(env, diagnostics)
  return {
    http: diagnostics.parse('proxy.http', decoded.http, parseProxy),
    https: diagnostics.parse('proxy.https', decoded.https, parseProxy),
    no: decoded.no,
  }
}

/**
 * Reads `http://host:port` of a proxy, with `user:password@` before the host where it asks for
 * one; without a scheme it is http, as curl and Go have it.
 *
 * @throws ResolveError CONFIG_INVALID; its message does not repeat the text, which may hold a password
 */
function parseProxy(text: string): string {
  const spelled = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`
  const url = URL.canParse(spelled) ? new URL(spelled) : undefined
  const isProxy =
    url !== undefined &&
    /^https?:$/.test(url.protocol) &&
    url.pathname === '/' &&
    url.search === '' &&
    url.hash === ''
  if (isProxy) return url.href.slice(0, -1)
  throw new ResolveError(
    'CONFIG_INVALID',
    'not a proxy; write http://host:port or https://host:port, with user:password@ before the host where it asks for them',
  )
}

/** The URL of a proxy with `***` for its user and password. */
export function hideProxySecrets(proxy: string): string {
  const url = new URL(proxy)
  if (url.username !== '') url.username = '***'
  if (url.password !== '') url.password = '***'
  return url.href.slice(0, -1)
}

/** Nobody wrote the environment for us, so what is wrong there stops nothing. */
function fromEnvironment(env: Environment, diagnostics: Diagnostics): ProxyConfig {
  const proxyOf = (name: string): string | undefined => {
    const text = variable(env, name)
    try {
      return text === undefined ? undefined : parseProxy(text)
    } catch (thrown) {
      diagnostics.warning(
        `${name} of the environment`,
        thrown instanceof Error ? thrown.message : '',
      )
      return undefined
    }
  }
  return {
    http: proxyOf('HTTP_PROXY'),
    https: proxyOf('HTTPS_PROXY'),
    no: variable(env, 'NO_PROXY'),
  }
}

function variable(env: Environment, name: string): string | undefined {
  return env[name] || env[name.toLowerCase()] || undefined
}
