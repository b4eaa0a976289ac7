/** Numbers from 0 to 1, the same for the same seed on every machine (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface StreamOptions {
  readonly questions: number
  /** Images in use at a time. */
  readonly images: number
  /** Of Zipf's law. */
  readonly s: number
  /** Mean time between two questions. */
  readonly everyMs: number
  /** Mean time between two deployments, each of which brings a new tag in the place of an old one. */
  readonly deploymentEveryMs: number
  /** So long the old tag is still asked for, ever less. */
  readonly fadeMs: number
  readonly seed: number
}

/** Questions in the order of time. Tags are numbers; a new one is one that was never there. */
export interface QuestionStream {
  /** Which tag is asked for, by question. */
  readonly tags: Int32Array
  /** When, in ms since the beginning. */
  readonly times: Float64Array
}

/** What a service is asked while teams deploy: popular images get new tags, and old ones fade. */
export function questionStream(options: StreamOptions): QuestionStream {
  const { deploymentEveryMs, everyMs, fadeMs, images, questions, s, seed } = options
  const random = seededRandom(seed)
  const pick = zipf(images, s, random)
  const waiting = (meanMs: number): number => -Math.log(1 - random()) * meanMs
  const current = Int32Array.from({ length: images }, (_, rank) => rank)
  const previous = Int32Array.from(current)
  const deployedAt = new Float64Array(images).fill(Number.NEGATIVE_INFINITY)
  const tags = new Int32Array(questions)
  const times = new Float64Array(questions)
  let now = 0
  let tagsSoFar = images
  let nextDeployment = waiting(deploymentEveryMs)
  for (let question = 0; question < questions; question += 1) {
    now += waiting(everyMs)
    for (; nextDeployment <= now; nextDeployment += waiting(deploymentEveryMs)) {
      const rank = pick()
      previous[rank] = current[rank] ?? 0
      current[rank] = tagsSoFar
      deployedAt[rank] = nextDeployment
      tagsSoFar += 1
    }
    const rank = pick()
    const age = now - (deployedAt[rank] ?? 0)
    const isOld = age < fadeMs && random() > age / fadeMs
    tags[question] = (isOld ? previous[rank] : current[rank]) ?? 0
    times[question] = now
  }
  return { tags, times }
}

/**
 * Ranks as popularity has them by Zipf's law: rank r comes up as often as 1 / (r + 1) ** s says.
 *
 * @param count of ranks
 * @returns 0 to count - 1, 0 the most popular
 */
export function zipf(count: number, s: number, random: () => number): () => number {
  const upTo = new Float64Array(count)
  let sum = 0
  for (let rank = 0; rank < count; rank += 1) {
    sum += (rank + 1) ** -s
    upTo[rank] = sum
  }
  return () => {
    const wanted = random() * sum
    let low = 0
    let high = count - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if ((upTo[middle] ?? sum) > wanted) high = middle
      else low = middle + 1
    }
    return low
  }
}

/** Which image a tag leads to: some tags are moved now and then, most never. */
export interface Moving {
  /** One tag in so many moves at all: `latest` and its like. */
  readonly oneIn: number
  readonly everyMs: number
}

/** @returns the number of times that the tag has moved by then */
export function versionOf(tag: number, atMs: number, { everyMs, oneIn }: Moving): number {
  if (tag % oneIn !== 0) return 0
  // Not all at one time.
  const offsetMs = ((tag * 2_654_435_761) % 1_000_003) * (everyMs / 1_000_003)
  return Math.floor((atMs + offsetMs) / everyMs)
}

/** By question, the next one that asks for the same tag; Infinity where there is none. */
export function nextUses(tags: Int32Array): Float64Array {
  const next = new Float64Array(tags.length)
  const seen = new Map<number, number>()
  for (let question = tags.length - 1; question >= 0; question -= 1) {
    const tag = tags[question] ?? 0
    next[question] = seen.get(tag) ?? Number.POSITIVE_INFINITY
    seen.set(tag, question)
  }
  return next
}
