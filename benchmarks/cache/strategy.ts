/** What a question came to. */
export type Outcome = 'answered' | 'HEAD' | 'GET'

/** A way of keeping answers. */
export interface Strategy {
  /**
   * @param question its number
   * @returns how it was answered and which version of the tag the caller was told
   */
  ask(question: number, tag: number, nowMs: number): { outcome: Outcome; version: number }
  /** The node restarts. */
  restart?(): void
  /** HEADs beside those of the questions. */
  readonly extraHeads?: number
}

export interface Score {
  readonly questions: number
  /** Answered without asking a registry, of 1. */
  readonly answered: number
  /** Answered, or confirmed with one HEAD, of 1: what replacement decides. */
  readonly known: number
  readonly gets: number
  readonly heads: number
  /** Answers whose tag had moved. */
  readonly stale: number
}

export interface Course {
  readonly tags: Int32Array
  readonly times: Float64Array
  /** The version that the registries have. */
  readonly versionAt: (tag: number, nowMs: number) => number
  readonly restartEveryMs?: number
}

/** Puts all questions of a stream to a strategy. */
export function scored(strategy: Strategy, course: Course): Score {
  const { restartEveryMs = Number.POSITIVE_INFINITY, tags, times, versionAt } = course
  const counts = { answered: 0, HEAD: 0, GET: 0 }
  let stale = 0
  let nextRestart = restartEveryMs
  for (let question = 0; question < tags.length; question += 1) {
    const tag = tags[question] ?? 0
    const now = times[question] ?? 0
    for (; now >= nextRestart; nextRestart += restartEveryMs) strategy.restart?.()
    const { outcome, version } = strategy.ask(question, tag, now)
    counts[outcome] += 1
    if (version !== versionAt(tag, now)) stale += 1
  }
  const questions = tags.length
  return {
    questions,
    answered: counts.answered / questions,
    known: (counts.answered + counts.HEAD) / questions,
    gets: counts.GET,
    heads: counts.HEAD + (strategy.extraHeads ?? 0),
    stale,
  }
}

interface PlainMapOptions {
  readonly size: number
  readonly ttlMs: number
  readonly versionAt: (tag: number, nowMs: number) => number
}

/** What is written in an afternoon: a Map, a TTL, the oldest goes when it is full; expired is gone. */
export function plainMap({ size, ttlMs, versionAt }: PlainMapOptions): Strategy {
  const map = new Map<number, { readonly atMs: number; readonly version: number }>()
  return {
    ask(_question, tag, now) {
      const known = map.get(tag)
      if (known !== undefined && now < known.atMs + ttlMs) {
        return { outcome: 'answered', version: known.version }
      }
      map.delete(tag)
      const version = versionAt(tag, now)
      map.set(tag, { atMs: now, version })
      const [oldest] = map.keys()
      if (map.size > size && oldest !== undefined) map.delete(oldest)
      return { outcome: 'GET', version }
    },
    restart: () => map.clear(),
  }
}
