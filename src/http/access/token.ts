import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { fileVersion } from '../file-version.ts'
import type { AccessOptions } from '../types.ts'

/** How soon a new token in the file counts. */
const LOOK_EVERY_MS = 1_000
const MAX_TOKEN_BYTES = 16 * 1024

/** The bearer token of this API (RFC 6750), compared in a time that tells nothing of it. */
export class BearerToken {
  readonly #file: string | undefined
  readonly #now: () => number
  #expected: string | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #version = ''

  constructor({ token, tokenFile }: AccessOptions, now: () => number) {
    this.#expected = token
    this.#file = tokenFile
    this.#now = now
  }

  /** Also where its file is empty or gone. */
  get isConfigured(): boolean {
    return this.#file !== undefined || this.#expected !== undefined
  }

  /** @param authorization the header: `Bearer …` */
  accepts(authorization: string | undefined): boolean {
    const [, given] = /^bearer +([^\s]+) *$/i.exec(authorization ?? '') ?? []
    return given !== undefined && this.#isToken(given)
  }

  /** As accepts(), or HTTP Basic (RFC 7617) with the token as the password: some clients can send nothing else. */
  acceptsAsPassword(authorization: string | undefined): boolean {
    if (this.accepts(authorization)) return true
    const [, given] = /^basic +([^\s]+) *$/i.exec(authorization ?? '') ?? []
    if (given === undefined) return false
    const pair = Buffer.from(given, 'base64').toString()
    return pair.includes(':') && this.#isToken(pair.slice(pair.indexOf(':') + 1))
  }

  /**
   * Whether a body was signed with the token as the key, as GitHub does (docs.github.com, "Validating webhook
   * deliveries").
   *
   * @param signature of X-Hub-Signature-256: `sha256=` and the HMAC in hexadecimal
   */
  signs(body: string, signature: unknown): boolean {
    this.#look()
    if (typeof signature !== 'string' || this.#expected === undefined) return false
    const made = `sha256=${createHmac('sha256', this.#expected).update(body).digest('hex')}`
    return timingSafeEqual(hash(made), hash(signature))
  }

  #isToken(given: string): boolean {
    this.#look()
    if (this.#expected === undefined) return false
    return timingSafeEqual(hash(given), hash(this.#expected))
  }

  /** While the file cannot be read no token is accepted: it may have been removed for that. */
  #look(): void {
    if (this.#file === undefined) return
    const now = this.#now()
    if (now - this.#lookedAt < LOOK_EVERY_MS && now >= this.#lookedAt) return
    this.#lookedAt = now
    try {
      const version = fileVersion(this.#file)
      if (version === this.#version) return
      const { size } = statSync(this.#file)
      const text = size > MAX_TOKEN_BYTES ? '' : readFileSync(this.#file, 'utf8').trim()
      this.#expected = text === '' ? undefined : text
      this.#version = version
    } catch {
      this.#expected = undefined
      this.#version = ''
    }
  }
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
