import type { DoorState, Readiness } from '../http/types.ts'
import type { Doors } from './doors.ts'

/** Milliseconds: anybody may ask for readiness as often as they like, but not the runtime for that. */
const KEEP_MS = 100

export interface DoorReadinessOptions {
  readonly doors: Pick<Doors, 'state'>
  /** The file names a CRI socket or a runtime. */
  readonly criExpected: boolean
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
  readonly runtimeAnswers: () => Promise<boolean>
  /** Milliseconds that only go forward. Default: performance.now. */
  readonly steady?: () => number
}

/**
 * Whether all is open that the configuration asks for, and the runtime behind it answers. What opens or
 * closes is told at once; only that the runtime has answered is believed for a moment, and it is asked
 * once for all who ask meanwhile.
 */
export class DoorReadiness implements Readiness {
  readonly #options: DoorReadinessOptions
  #asking: Promise<boolean> | undefined
  #answeredAt = Number.NEGATIVE_INFINITY

  constructor(options: DoorReadinessOptions) {
    this.#options = options
  }

  /** The names of the doors that are asked for: CRI also where a runtime was found by itself. */
  wanted(): readonly string[] {
    const { criExpected, runtimeSocket } = this.#options
    return criExpected || runtimeSocket() !== undefined ? ['http', 'cri'] : ['http']
  }

  async check(): Promise<readonly DoorState[]> {
    const { doors, runtimeSocket } = this.#options
    const http = doors.state('http')
    if (!this.wanted().includes('cri')) return [http]
    const cri = doors.state('cri')
    if (!cri.open || (await this.#runtimeAnswers())) return [http, cri]
    const reason = `the runtime at ${runtimeSocket()} does not answer`
    return [http, { door: 'cri', open: false, reason }]
  }

  async #runtimeAnswers(): Promise<boolean> {
    const { runtimeAnswers, steady = () => performance.now() } = this.#options
    if (steady() - this.#answeredAt < KEEP_MS) return true
    this.#asking ??= runtimeAnswers().finally(() => {
      this.#asking = undefined
    })
    const answers = await this.#asking
    if (answers) this.#answeredAt = steady()
    return answers
  }
}
