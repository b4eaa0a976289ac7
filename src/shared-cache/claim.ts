import type { Clock } from '../concurrency/clock.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { RedisClient } from './redis-client.ts'
import { type Look, readLook } from './scripts.ts'

export interface ClaimTools {
  readonly client: Pick<RedisClient, 'script'>
  /** How long one command is awaited. */
  readonly budgetMs: number
  /** Those of this node, to be given back at its end. */
  readonly claims: Set<Claim>
  readonly metrics: Pick<SharedMetrics, 'claims'>
  readonly clock: Clock
  /** Told of the store's clock. @returns false: it is not believed, since old answers would look young */
  readonly saw: (now: number) => boolean
}

/** Where what belongs to one question stands in the store. */
export interface Names {
  readonly entry: string
  readonly claim: string
  /** Of the tags that lead to it, one for each place. */
  readonly marks: readonly string[]
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

interface Wanted {
  /** Of the claim that is taken where the store has no entry that is young enough. */
  readonly id: string
  /** 0: none is taken, and no entry is young enough. */
  readonly claimMs: number
  /** The oldest time that is accepted; undefined: by the age. */
  readonly oldest: number | undefined
  readonly maxAgeMs: number
  readonly limitMs: number
}

/**
 * Runs the script `look`. A claim that comes too late, or with a time that is not believed, is given back.
 *
 * @returns undefined: there is no answer to go by
 */
export async function lookAt(
  { claim, entry, marks }: Names,
  { budgetMs, client, saw }: ClaimTools,
  { id, claimMs, limitMs, maxAgeMs, oldest }: Wanted,
): Promise<Look | undefined> {
  const giveBack = (reply: unknown): void => {
    if (readLook(reply)?.state === 'won') void client.script('release', [claim, id, '0'], budgetMs)
  }
  const keys = [entry, claim, ...marks]
  const terms = [String(claimMs), oldest === undefined ? '' : String(oldest), String(maxAgeMs)]
  const args = [String(keys.length), ...keys, id, ...terms]
  const reply = await client.script('look', args, limitMs, giveBack)
  const looked = readLook(reply)
  if (looked === undefined || saw(looked.now)) return looked
  giveBack(reply)
  return undefined
}
