import type { Server } from 'node:tls'
import { toResolveError } from '../errors.ts'
import type { Logger } from '../telemetry/log.ts'
import { fileVersion } from './file-version.ts'
import { readTls } from './tls.ts'
import type { TlsFiles } from './types.ts'

/**
 * Takes up a new certificate while the server listens: certificates are renewed every few weeks or days,
 * and nobody should have to think of this service then. Connections that are open keep the old one.
 */
export class Renewal {
  readonly #files: TlsFiles
  readonly #server: Pick<Server, 'setSecureContext'>
  readonly #logger: Pick<Logger, 'info' | 'warn'>
  #version: string

  /** What the files hold now is what the server has. */
  constructor(
    files: TlsFiles,
    server: Pick<Server, 'setSecureContext'>,
    logger: Pick<Logger, 'info' | 'warn'>,
  ) {
    this.#files = files
    this.#server = server
    this.#logger = logger
    this.#version = versionOf(files)
  }

  /** One file may be written before the other: what does not fit together yet is looked at again. */
  look(): void {
    const version = versionOf(this.#files)
    if (version === this.#version) return
    this.#version = version
    const { certFile } = this.#files
    try {
      this.#server.setSecureContext(readTls(this.#files))
      this.#logger.info({ certFile }, 'HTTP has a new certificate')
    } catch (thrown) {
      const reason = toResolveError(thrown).message
      this.#logger.warn({ reason }, 'the new certificate of HTTP is of no use; the old one stays')
    }
  }
}

function versionOf({ certFile, keyFile }: TlsFiles): string {
  try {
    return `${fileVersion(certFile)} ${fileVersion(keyFile)}`
  } catch {
    return 'not there'
  }
}
