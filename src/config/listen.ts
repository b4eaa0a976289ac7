import { isIPv6 } from 'node:net'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { parseSocketPath } from './socket.ts'

/** Where the HTTP API is served; IPv6 without brackets, port 0 means any free one. */
export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/**
 * Reads `host:port`, `[ipv6]:port` or `unix:///path`. A port alone is refused: it would open the
 * API to every network by saying nothing.
 *
 * @throws ResolveError CONFIG_INVALID
 */
export function parseListen(text: string): ListenAddress {
  if (text.startsWith('unix:')) return { kind: 'unix', path: parseSocketPath(text) }
  const [, bracketed, name, digits] = /^(?:\[([^\]]*)\]|([\w.-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? name
  const port = Number(digits)
  if (host === undefined || (bracketed !== undefined && !isIPv6(bracketed))) {
    throw refusal(
      `${quote(text)} is not host:port or unix:///path; write 127.0.0.1:9430, [::1]:9430 or, for every network, 0.0.0.0:9430`,
    )
  }
  if (port > 65535) throw refusal(`port ${port} is above 65535`)
  return { kind: 'tcp', host, port }
}

/** Whether only this machine can reach it. */
export function isLocalListen(address: ListenAddress): boolean {
  if (address.kind === 'unix') return true
  return /^(?:localhost|127(?:\.\d+){3}|::1)$/i.test(address.host)
}

function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
