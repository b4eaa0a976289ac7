import { appendFile, readFile, rm } from 'node:fs/promises'
import { ResolveError } from '../../errors.ts'
import { isDigest } from '../../reference/digest.ts'
import type { AskedPlace, ImagePlace } from '../../resolver/availability.ts'

/** A registry's yes or no is taken for that long. */
const MAX_AGE_MS = 24 * 3_600_000
/** More than 100,000 images have. */
const MAX_BYTES = 256 * 1024 * 1024

/** One answer, as a line of the file. */
interface Line {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly registry: string
  readonly reference: string
  readonly state: 'present' | 'absent'
  readonly digest?: string
  readonly platforms?: readonly string[]
}

/**
 * What registries have answered, in a file of JSON lines, so that a check that was cut short goes on where it
 * was. A refusal and silence are no answer: they are asked for again.
 */
export class CheckAnswers {
  readonly #file: string
  readonly #known: ReadonlyMap<string, Line>

  private constructor(file: string, known: ReadonlyMap<string, Line>) {
    this.#file = file
    this.#known = known
  }

  /** @throws ResolveError CONFIG_INVALID for a file that cannot be read */
  static async open(file: string): Promise<CheckAnswers> {
    const text = await readFile(file, 'utf8').catch((thrown: NodeJS.ErrnoException) => {
      if (thrown.code === 'ENOENT') return ''
      throw failure(file, 'read', thrown)
    })
    if (text.length > MAX_BYTES) {
      throw new ResolveError('CONFIG_INVALID', `${file} is larger than ${MAX_BYTES} bytes`)
    }
    const known = new Map<string, Line>()
    const lines = text.split('\n').filter((line) => line !== '')
    for (const written of lines) {
      const line = parseLine(written)
      if (line !== undefined && Date.now() - line.at < MAX_AGE_MS) known.set(keyOf(line), line)
    }
    if (lines.length > 0 && lines.every((line) => parseLine(line) === undefined)) {
      throw new ResolveError('CONFIG_INVALID', `${file} holds no answers of an earlier check`)
    }
    return new CheckAnswers(file, known)
  }

  /** @param needsPlatforms without its platforms an answer is of no use */
  known(place: AskedPlace, needsPlatforms: boolean): ImagePlace | undefined {
    const line = this.#known.get(keyOf(place))
    if (line === undefined) return undefined
    const { digest, platforms, state } = line
    if (state === 'present' && needsPlatforms && platforms === undefined) return undefined
    return {
      ...place,
      state,
      ...(digest !== undefined && { digest }),
      ...(platforms !== undefined && { platforms }),
    }
  }

  /** Why answers could not be kept: the check itself goes on. */
  problem: string | undefined

  /** Never rejects. */
  async add(places: readonly ImagePlace[]): Promise<void> {
    const lines = places.flatMap((place) => {
      const { digest, platforms, reference, registry, state } = place
      if (state !== 'present' && state !== 'absent') return []
      if (this.known(place, platforms !== undefined) !== undefined) return []
      const line: Line = {
        at: Date.now(),
        registry,
        reference,
        state,
        ...(digest !== undefined && { digest }),
        ...(platforms !== undefined && { platforms }),
      }
      return `${JSON.stringify(line)}\n`
    })
    if (lines.length === 0) return
    await appendFile(this.#file, lines.join(''), { mode: 0o600 }).catch((thrown) => {
      this.problem ??= failure(this.#file, 'written', thrown).message
    })
  }

  /** For a check that has got every answer: the next one is to begin anew. */
  async remove(): Promise<void> {
    await rm(this.#file, { force: true }).catch((thrown) => {
      throw failure(this.#file, 'removed', thrown)
    })
  }
}

/** @returns undefined for what is no answer: the last line may be torn */
function parseLine(text: string): Line | undefined {
  try {
    const line = JSON.parse(text) as Line
    const { at, digest, platforms = [], reference, registry, state } = line
    const isAnswer = state === 'absent' || (state === 'present' && isDigest(String(digest)))
    const isWhole = [registry, reference, ...platforms].every((each) => typeof each === 'string')
    return isAnswer && isWhole && typeof at === 'number' ? line : undefined
  } catch {
    return undefined
  }
}

function keyOf({ reference, registry }: Pick<AskedPlace, 'reference' | 'registry'>): string {
  return `${registry} ${reference}`
}

function failure(file: string, what: string, thrown: unknown): ResolveError {
  const { message } = thrown as Error
  return new ResolveError('CONFIG_INVALID', `${file} cannot be ${what}: ${message}`)
}
