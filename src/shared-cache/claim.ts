import type { Clock } from '../concurrency/clock.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { RedisClient } from './redis-client.ts'

export interface ClaimTools {
  readonly client: Pick<RedisClient, 'script'>
  /** How long one command is awaited. */
  readonly budgetMs: number
  /** Those of this node, to be given back at its end. */
  readonly claims: Set<Claim>
  readonly metrics: Pick<SharedMetrics, 'claims'>
  readonly clock: Clock
}

/** A claim is prolonged so often before it would end. */
const BEATS = 3

/** The right of this node to ask registries for all, prolonged until it ends. */
export class Claim {
  readonly id: string
  readonly #name: string
  readonly #ms: number
  readonly #tools: ClaimTools
  #cancel = (): void => {}

  constructor(name: string, id: string, ms: number, tools: ClaimTools) {
    this.id = id
    this.#name = name
    this.#ms = ms
    this.#tools = tools
    tools.claims.add(this)
    this.#beat()
  }

  end(): void {
    this.#cancel()
    this.#tools.claims.delete(this)
  }

  /** @param failedMs as in the script */
  async release(failedMs: number): Promise<void> {
    this.end()
    const { budgetMs, client } = this.#tools
    await client.script('release', [this.#name, this.id, String(failedMs)], budgetMs)
  }

  #beat(): void {
    this.#cancel = this.#tools.clock.after(this.#ms / BEATS, () => void this.#prolong())
  }

  async #prolong(): Promise<void> {
    const { budgetMs, claims, client, metrics } = this.#tools
    const held = await client.script('hold', [this.#name, this.id, String(this.#ms)], budgetMs)
    if (!claims.has(this)) return
    if (held === 0) metrics.claims.lost += 1
    else this.#beat()
  }
}
