import { seededRandom } from './random.ts'
import { zipf } from './zipf.ts'

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
