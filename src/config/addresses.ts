import { isIPv6 } from 'node:net'
import { posix } from 'node:path'
import { quote } from '../reference/quote.ts'
import { refusal } from './diagnostics.ts'

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

/** What fits into a socket address on Linux (unix(7), sun_path) beside its closing zero. */
const MAX_PATH_BYTES = 107

/** Where runtimes listen when they are not told otherwise, in the order of asking. */
const RUNTIME_SOCKETS = [
  '/run/containerd/containerd.sock',
  '/run/crio/crio.sock',
  '/run/cri-dockerd.sock',
] as const

/**
 * Reads the path of a unix socket, with or without `unix://` before it.
 *
 * @throws ResolveError CONFIG_INVALID when it is not absolute or too long to be bound
 */
export function parseSocketPath(text: string): string {
  const path = parseAbsolutePath(text.replace(/^unix:\/\//, ''))
  const bytes = Buffer.byteLength(path)
  if (bytes > MAX_PATH_BYTES) {
    throw refusal(`the path of a socket has at most ${MAX_PATH_BYTES} bytes, this one ${bytes}`)
  }
  return path
}

/** @throws ResolveError CONFIG_INVALID when it is not absolute */
export function parseAbsolutePath(text: string): string {
  if (text.startsWith('/') && !text.includes('\0')) return text
  throw refusal(`${quote(text)} is not an absolute path; start it with /`)
}

/** The first known runtime socket that is there. */
export function detectRuntime(exists: (path: string) => boolean): string | undefined {
  return RUNTIME_SOCKETS.find(exists)
}

/** Whether both name one file; /var/run is a link to /run wherever systemd is. */
export function isSameSocket(one: string, other: string): boolean {
  return canonical(one) === canonical(other)
}

function canonical(path: string): string {
  return posix.normalize(path).replace(/^\/var\/run\//, '/run/')
}
