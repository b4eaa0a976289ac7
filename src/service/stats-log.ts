import type { Clock } from '../concurrency/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Meters } from '../telemetry/meters.ts'

export interface StatsLogOptions {
  readonly meters: Pick<Meters, 'resolutions'>
  readonly clock: Clock
  /** Between two lines, in milliseconds; 0: none is written. */
  readonly intervalMs: number
  readonly logger: Pick<Logger, 'info'>
}

/** Logs what was resolved since the start, when something was since the last line. */
export class StatsLog {
  readonly #options: StatsLogOptions
  #cancel = (): void => {}
  #last: string

  constructor(options: StatsLogOptions) {
    this.#options = options
    this.#last = JSON.stringify(this.#counts())
  }

  start(): void {
    const { clock, intervalMs } = this.#options
    if (intervalMs === 0) return
    this.#cancel = clock.after(intervalMs, () => {
      this.start()
      this.#write()
    })
  }

  close(): void {
    this.#cancel()
  }

  #write(): void {
    const counts = this.#counts()
    const now = JSON.stringify(counts)
    if (now === this.#last) return
    this.#last = now
    this.#options.logger.info(counts, 'resolutions since the start, by source')
  }

  #counts(): Readonly<Record<string, number>> {
    const { resolutions } = this.#options.meters
    return Object.fromEntries(
      Object.entries(resolutions).map(([source, { count }]) => [source, count]),
    )
  }
}
