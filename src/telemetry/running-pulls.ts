import type { PullLayers, PullRecord, PullsResponse } from '../../api/v1/images.ts'

/** How far the layers of an image are; undefined: nothing can be told of them. */
export type LookAtLayers = () => Promise<PullLayers | undefined>

/** What a pull says of itself while it runs. */
export interface RunningPull {
  /** It is pulled from there now; what was said before of another registry is over. */
  from(registry: string, look: LookAtLayers | undefined): void
  /** The runtime got it as it came. */
  passedOn(): void
  end(): void
}

type Pod = NonNullable<PullRecord['pod']>

interface Entry {
  readonly reference: string
  readonly startedAt: number
  readonly pod: Pod | undefined
  registry: string | null
  look: LookAtLayers | undefined
  /** Looks cost calls to the runtime: callers that come soon after each other share one. */
  seen: { readonly at: number; readonly layers: Promise<PullLayers | undefined> } | undefined
}

const MAX_SHOWN = 100
const SEEN_FOR_MS = 500

/** The pulls on the CRI socket that run now. */
export class RunningPulls {
  readonly #entries = new Set<Entry>()
  readonly #now: () => number

  /** @param now milliseconds since 1970 */
  constructor(now: () => number) {
    this.#now = now
  }

  begin(reference: string, pod: Pod | undefined): RunningPull {
    const startedAt = this.#now()
    const entry: Entry = {
      reference,
      pod,
      startedAt,
      registry: null,
      look: undefined,
      seen: undefined,
    }
    this.#entries.add(entry)
    const set = (registry: string | null, look: LookAtLayers | undefined): void => {
      entry.registry = registry
      entry.look = look
      entry.seen = undefined
    }
    return {
      from: set,
      passedOn: () => set(null, undefined),
      end: () => void this.#entries.delete(entry),
    }
  }

  /** How far the newest pull of this reference is. Never rejects. */
  async layersOf(reference: string): Promise<PullLayers | undefined> {
    const entry = [...this.#entries].findLast((each) => each.reference === reference)
    return entry && this.#layers(entry)
  }

  /** The oldest first. Never rejects. */
  async list(): Promise<PullsResponse> {
    const shown = [...this.#entries].slice(0, MAX_SHOWN)
    const pulls = await Promise.all(shown.map((entry) => this.#record(entry)))
    return { running: this.#entries.size, pulls }
  }

  async #record(entry: Entry): Promise<PullRecord> {
    const { pod, reference, registry, startedAt } = entry
    const layers = await this.#layers(entry)
    return {
      reference,
      since: new Date(startedAt).toISOString(),
      seconds: Math.max(0, this.#now() - startedAt) / 1_000,
      registry,
      ...(pod !== undefined && { pod }),
      ...(layers !== undefined && { layers }),
    }
  }

  #layers(entry: Entry): Promise<PullLayers | undefined> {
    const now = this.#now()
    if (entry.seen === undefined || Math.abs(now - entry.seen.at) >= SEEN_FOR_MS) {
      const layers = entry.look?.().catch(() => undefined) ?? Promise.resolve(undefined)
      entry.seen = { at: now, layers }
    }
    return entry.seen.layers
  }
}
