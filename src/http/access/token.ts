import { createHash, timingSafeEqual } from 'node:crypto'
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
  #expected: Buffer | undefined
  #lookedAt = Number.NEGATIVE_INFINITY
  #version = ''

  constructor({ token, tokenFile }: AccessOptions, now: () => number) {
    this.#expected = token === undefined ? undefined : hash(token)
    this.#file = tokenFile
    this.#now = now
  }

  /** Also where its file is empty or gone. */
  get isConfigured(): boolean {
    return this.#file !== undefined || this.#expected !== undefined
  }

  /** @param authorization the header: `Bearer …` */
  accepts(authorization: string | undefined): boolean {
    this.#look()
    const [, given] = /^bearer +([^\s]+) *$/i.exec(authorization ?? '') ?? []
    if (given === undefined || this.#expected === undefined) return false
    return timingSafeEqual(hash(given), this.#expected)
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
      this.#expected = text === '' ? undefined : hash(text)
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
