import { posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'

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

function refusal(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
