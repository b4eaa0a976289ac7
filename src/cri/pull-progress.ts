import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import type { RunningPull, RunningPulls } from '../telemetry/running-pulls.ts'
import { tracing } from '../telemetry/tracing.ts'

/** Most pulls take less, and say so by themselves when they end. */
const LONG_MS = 10_000

/** What a pull says of itself. */
export type PullListener = Pick<RunningPull, 'from' | 'passedOn'>

export interface PullProgressOptions {
  readonly log: Pick<Logger, 'info'>
  /** Where pulls are counted; absent: here alone. */
  readonly counts?: Metrics['pulls'] | undefined
  /** Where those that run can be seen; absent: nowhere. */
  readonly running?: RunningPulls | undefined
  /** Milliseconds of a clock that never jumps. */
  readonly now?: () => number
}

/** Counts the pulls under way. A long pull is logged once while it runs, and when it ends. */
export class PullProgress {
  readonly #options: PullProgressOptions
  readonly #counts: Metrics['pulls']

  constructor(options: PullProgressOptions) {
    this.#options = options
    this.#counts = options.counts ?? { inFlight: 0, pulled: 0, failed: 0, passedOn: 0 }
  }

  get inFlight(): number {
    return this.#counts.inFlight
  }

  /**
   * @param image as it was asked for
   * @param pull says through its parameter from where it is pulled, and when it leaves the pull to the
   * runtime, as it came
   */
  async watch<T>(
    image: string,
    pod: Parameters<RunningPulls['begin']>[1],
    pull: (progress: PullListener) => Promise<T>,
  ): Promise<T> {
    const { log, now = () => performance.now() } = this.#options
    const running = this.#options.running?.begin(image, pod)
    tracing?.annotate({
      'image_resolver.reference': image,
      ...(pod && { 'k8s.namespace.name': pod.namespace, 'k8s.pod.name': pod.name }),
    })
    const startedAt = now()
    const seconds = (): number => Math.round((now() - startedAt) / 1000)
    const timer = setTimeout(
      () => log.info({ image, seconds: seconds() }, 'still pulling'),
      LONG_MS,
    )
    let isPulled = false
    let isPassedOn = false
    this.#counts.inFlight += 1
    try {
      const pulled = await pull({
        from: (registry, look) => running?.from(registry, look),
        passedOn: () => {
          isPassedOn = true
          running?.passedOn()
        },
      })
      isPulled = true
      return pulled
    } finally {
      clearTimeout(timer)
      running?.end()
      this.#counts.inFlight -= 1
      this.#counts[outcome(isPulled, isPassedOn)] += 1
      if (now() - startedAt >= LONG_MS) {
        log.info({ image, seconds: seconds(), ok: isPulled }, 'a long pull ended')
      }
    }
  }
}

/** A failed pull counts as failed, wherever it was made. */
function outcome(isPulled: boolean, isPassedOn: boolean): 'pulled' | 'failed' | 'passedOn' {
  if (!isPulled) return 'failed'
  return isPassedOn ? 'passedOn' : 'pulled'
}
