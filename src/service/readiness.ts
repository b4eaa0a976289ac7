import type { DoorState, Readiness } from '../http/types.ts'
import type { Doors } from './doors.ts'

export interface DoorReadinessOptions {
  readonly doors: Pick<Doors, 'state'>
  /** The file names a CRI socket or a runtime. */
  readonly criExpected: boolean
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
  readonly runtimeAnswers: () => Promise<boolean>
}

/** Whether all is open that the configuration asks for, and the runtime behind it answers. */
export class DoorReadiness implements Readiness {
  readonly #options: DoorReadinessOptions

  constructor(options: DoorReadinessOptions) {
    this.#options = options
  }

  /** The names of the doors that are asked for: CRI also where a runtime was found by itself. */
  wanted(): readonly string[] {
    const { criExpected, runtimeSocket } = this.#options
    return criExpected || runtimeSocket() !== undefined ? ['http', 'cri'] : ['http']
  }

  async check(): Promise<readonly DoorState[]> {
    const { doors, runtimeAnswers, runtimeSocket } = this.#options
    const http = doors.state('http')
    if (!this.wanted().includes('cri')) return [http]
    const cri = doors.state('cri')
    if (!cri.open || (await runtimeAnswers())) return [http, cri]
    const reason = `the runtime at ${runtimeSocket()} does not answer`
    return [http, { door: 'cri', open: false, reason }]
  }
}
