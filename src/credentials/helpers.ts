import { LRUCache } from 'lru-cache'
import { SingleFlight } from '../concurrency/single-flight.ts'
import type { Environment } from '../config/config.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { type Credentials, markIssued, userPassword } from '../registry/credentials.ts'
import { parseJsonObject, textOf } from './docker.ts'
import { helperEnvironment, type ProgramEnd, type Programs } from './program.ts'
import type { WarnOnce } from './watched-file.ts'

export interface CredentialHelperTools {
  readonly programs: Pick<Programs, 'run'>
  readonly environment: Environment
  readonly now: () => number
  readonly warnOnce: WarnOnce
}

/** Helpers do not say how long their answers are good; cloud tokens may end within minutes. */
const KEEP_MS = 60_000

const MAX_ANSWERS = 1_000

/** What helpers print, with exit code 1, of a server that they do not know. */
const NOT_FOUND = /^credentials not found in native keychain/

/** Docker's `docker-credential-*` programs (github.com/docker/docker-credential-helpers). */
export class CredentialHelpers {
  readonly #tools: CredentialHelperTools
  readonly #answers: LRUCache<string, { readonly credentials: Credentials | undefined }>
  readonly #asking = new SingleFlight<Credentials | undefined>()

  constructor(tools: CredentialHelperTools) {
    this.#tools = tools
    this.#answers = answerCache(tools.now, KEEP_MS)
  }

  /**
   * @param name what stands behind `docker-credential-`
   * @param server as Docker calls the registry: `host[:port]`, or Docker Hub's legacy URL
   * @returns undefined when it has none, or fails; both are believed for a minute
   */
  async credentials(name: string, server: string): Promise<Credentials | undefined> {
    const key = `${name} ${server}`
    const found = this.#answers.get(key)
    if (found !== undefined) return found.credentials
    return this.#asking.run(key, undefined, async () => {
      const credentials = await this.#ask(name, server)
      this.#answers.set(key, { credentials })
      return credentials
    })
  }

  async #ask(name: string, server: string): Promise<Credentials | undefined> {
    const { programs, environment, warnOnce } = this.#tools
    try {
      if (!/^[A-Za-z0-9._-]+$/.test(name)) {
        throw new ResolveError('CONFIG_INVALID', 'its name may hold letters, digits, ., _ and -')
      }
      const end = await programs.run({
        file: `docker-credential-${name}`,
        args: ['get'],
        env: helperEnvironment(environment),
        input: server,
      })
      return readAnswer(end)
    } catch (thrown) {
      const { code, message: reason } = toResolveError(thrown)
      const fields = { helper: quote(name).slice(1, -1), reason }
      if (code !== 'CANCELED') {
        warnOnce.warn(name, 'a credential helper failed; going on without it', fields)
      }
      return undefined
    }
  }
}

function readAnswer({ code, output }: ProgramEnd): Credentials | undefined {
  if (code !== 0) {
    if (NOT_FOUND.test(output.trim())) return undefined
    throw new ResolveError('UNAVAILABLE', endOf(code))
  }
  const answer = parseJsonObject(output)
  const username = textOf(answer['Username'])
  const secret = textOf(answer['Secret'])
  // Some stores keep an empty entry where they once had one.
  if (username === undefined || secret === undefined) return undefined
  return markIssued(userPassword(username, secret))
}

/**
 * At most 1,000 answers of programs.
 *
 * @param now milliseconds of a monotonic clock
 * @param ttl in milliseconds; `set` may bring another
 */
export function answerCache<T extends object>(now: () => number, ttl: number): LRUCache<string, T> {
  return new LRUCache({ max: MAX_ANSWERS, ttl, ttlResolution: 0, perf: { now } })
}

/** How a program ended that should not have. */
export function endOf(code: number | undefined): string {
  return code === undefined ? 'a signal ended it' : `it ended with exit code ${code}`
}
