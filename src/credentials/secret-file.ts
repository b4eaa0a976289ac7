import { ResolveError } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { CredentialFiles } from '../registry/entry.ts'
import type { WarnOnce } from './warn-once.ts'
import { WatchedFile } from './watched-file.ts'

const MAX_SECRET_BYTES = 64 * 1024

/** The `passwordFile` and `tokenFile` of configured registries. */
export class SecretFiles {
  readonly #tools: { readonly now: () => number; readonly warnOnce: WarnOnce }
  readonly #passwords = new Map<string, WatchedFile<string>>()
  readonly #tokens = new Map<string, WatchedFile<string>>()

  constructor(tools: { readonly now: () => number; readonly warnOnce: WarnOnce }) {
    this.#tools = tools
  }

  /** undefined: a file is not there, or holds nothing. */
  async credentials(files: CredentialFiles): Promise<Credentials | undefined> {
    const { username, passwordFile, tokenFile, tokenKind = 'identityToken' } = files
    if (username !== undefined && passwordFile !== undefined) {
      const password = await this.#read(this.#passwords, passwordFile, parsePassword)
      return password === undefined ? undefined : { kind: 'basic', username, password }
    }
    if (tokenFile === undefined) return undefined
    const token = await this.#read(this.#tokens, tokenFile, parseToken)
    return token === undefined ? undefined : { kind: tokenKind, token }
  }

  #read(
    known: Map<string, WatchedFile<string>>,
    file: string,
    parse: (text: string) => string,
  ): Promise<string | undefined> {
    const kept =
      known.get(file) ??
      new WatchedFile({ file, limitBytes: MAX_SECRET_BYTES, parse, ...this.#tools })
    known.set(file, kept)
    return kept.read()
  }
}

/** Editors and `echo` end a file with a line break; no password does. */
function parsePassword(text: string): string {
  const password = text.replace(/[\r\n]+$/, '')
  if (password === '') throw new ResolveError('CONFIG_INVALID', 'it is empty')
  return password
}

/** A token goes into a header, where only this can stand. */
function parseToken(text: string): string {
  const token = text.trim()
  if (token === '') throw new ResolveError('CONFIG_INVALID', 'it is empty')
  if (!/^[\x21-\x7e]+$/.test(token)) {
    throw new ResolveError('CONFIG_INVALID', 'not a token: write it on one line, without spaces')
  }
  return token
}
