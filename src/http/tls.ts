import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { ResolveError } from '../errors.ts'
import type { TlsFiles } from './types.ts'

/** @throws ResolveError CONFIG_INVALID, naming `http.tls`, for files that make no certificate */
export function readTls({ certFile, keyFile }: TlsFiles): {
  readonly cert: Buffer
  readonly key: Buffer
  readonly minVersion: 'TLSv1.2'
} {
  const cert = readPem('cert', certFile)
  const key = readPem('key', keyFile)
  const minVersion = 'TLSv1.2'
  try {
    createSecureContext({ cert, key, minVersion })
  } catch (cause) {
    throw refusal('http.tls', `${certFile} and ${keyFile} are no certificate with its key`, cause)
  }
  return { cert, key, minVersion }
}

function readPem(field: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw refusal(`http.tls.${field}`, `cannot read ${path} (${codeOf(cause)})`, cause)
  }
}

function codeOf(thrown: unknown): string | undefined {
  return (thrown as NodeJS.ErrnoException).code
}

function refusal(field: string, problem: string, cause: unknown): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${field}: ${problem}`, { cause })
}
