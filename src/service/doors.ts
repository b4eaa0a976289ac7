import type { Clock } from '../concurrency/clock.ts'
import type { Logger } from '../telemetry/logger.ts'
import { KeptDoor, type KeptDoorState, type OpenDoor } from './kept-door.ts'

export interface DoorsOptions {
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn'>
}

/**
 * All doors of the service. None of them waits for another: a taken HTTP address must not keep a
 * kubelet from its images.
 */
export class Doors {
  readonly #options: DoorsOptions
  readonly #kept = new Map<string, KeptDoor>()

  constructor(options: DoorsOptions) {
    this.#options = options
  }

  /** Opens it as soon as that can be. @param open as in KeptDoorOptions */
  keep(name: string, open: () => Promise<OpenDoor>): void {
    const door = new KeptDoor({ name, open, logger: this.#options.logger })
    this.#kept.set(name, door)
    void door.keep()
  }

  state(name: string): KeptDoorState {
    return this.#kept.get(name)?.state ?? { door: name, open: false }
  }

  /** Resolves when these are open, or closed for good, or when the time is up. */
  async settled(names: readonly string[], limitMs: number): Promise<void> {
    let cancel = (): void => {}
    const timeUp = new Promise<void>((resolve) => {
      cancel = this.#options.clock.after(limitMs, resolve)
    })
    await Promise.race([Promise.all(names.map((name) => this.#kept.get(name)?.keep())), timeUp])
    cancel()
  }

  /** One line: which are open, and why the others are not. */
  status(): string {
    return [...this.#kept.values()]
      .map(({ state: { door, open, reason } }) => (open ? `${door} is open` : `${door}: ${reason}`))
      .join('; ')
  }

  /** In the reverse order of opening. */
  async close(): Promise<void> {
    for (const door of [...this.#kept.values()].reverse()) await door.close()
  }
}
