import { readFileSync } from 'node:fs'
import { createSecureContext, type Server } from 'node:tls'
import { codeOf, ResolveError, toResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { fileVersion } from './file-version.ts'
import type { TlsFiles } from './types.ts'

/** @throws ResolveError CONFIG_INVALID, naming `http.tls`, for files that make no certificate */
export function readTls(files: TlsFiles): {
  readonly cert: Buffer
  readonly key: Buffer
  readonly minVersion: 'TLSv1.2'
} {
  const cert = readPem('cert', files.cert)
  const key = readPem('key', files.key)
  const minVersion = 'TLSv1.2'
  try {
    createSecureContext({ cert, key, minVersion })
  } catch (cause) {
    const what = `${files.cert} and ${files.key} are no certificate with its key`
    throw refusal('http.tls', what, cause)
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

function refusal(field: string, problem: string, cause: unknown): ResolveError {
  return new ResolveError('CONFIG_INVALID', `${field}: ${problem}`, { cause })
}

/**
 * Takes up a new certificate while the server listens: certificates are renewed every few weeks or days,
 * and this service then needs no restart. Open connections keep the old one.
 *
 * @returns looks at the files. One may be written before the other: what does not fit together yet is looked at again
 */
export function renewal(
  files: TlsFiles,
  server: Pick<Server, 'setSecureContext'>,
  logger: Pick<Logger, 'info' | 'warn'>,
): () => void {
  // What the files hold now is what the server has.
  let version = versionOf(files)
  return () => {
    const seen = versionOf(files)
    if (seen === version) return
    version = seen
    try {
      server.setSecureContext(readTls(files))
      logger.info({ certFile: files.cert }, 'HTTP has a new certificate')
    } catch (thrown) {
      const reason = toResolveError(thrown).message
      logger.warn({ reason }, 'the new certificate of HTTP is of no use; the old one stays')
    }
  }
}

function versionOf({ cert, key }: TlsFiles): string {
  try {
    return `${fileVersion(cert)} ${fileVersion(key)}`
  } catch {
    return 'not there'
  }
}
