import { randomUUID } from 'node:crypto'
import type { Clock } from '../concurrency/clock.ts'
import { type EntrySigner, type NodeBody, readNode } from './entry.ts'
import type { RedisClient } from './redis-client.ts'

/** A node of the fleet that was seen lately. */
export interface FleetNode extends NodeBody {
  /** Milliseconds since it was seen, by the clock of the store. */
  readonly ageMs: number
}

/** Between two signs of a node. */
const BEAT_MS = 30_000
/** When the store did not answer. */
const AGAIN_MS = 2_000
/** A node that was not seen for so long is forgotten. */
const KEPT_MS = 3_600_000
/** That are shown, and of one reply. */
const MAX_NODES = 10_000
const PAGE = 200
/** The store is asked by a command, and a person waits for it. */
const LIST_LIMIT_MS = 5_000
const MAX_SCANS = 20

interface BeatsOptions {
  readonly client: Pick<RedisClient, 'script'>
  readonly signer: EntrySigner
  /** Of now. */
  readonly self: () => NodeBody
  readonly clock: Clock
  readonly budgetMs: number
  /** 0 to 1; spreads the nodes. Default Math.random. */
  readonly random?: () => number
}

/** Tells the fleet, again and again, that this node is there. */
export class NodeBeats {
  readonly #options: BeatsOptions
  readonly #id = randomUUID()
  #cancel = (): void => {}
  #isClosed = false

  constructor(options: BeatsOptions) {
    this.#options = options
  }

  /** Never rejects. */
  async start(): Promise<void> {
    const { budgetMs, client, clock, random = Math.random, self, signer } = this.#options
    const names = namesOf(signer)
    // The time is the store's: nothing follows from the one that is signed.
    const entry = signer.sign(names.entries, 0, JSON.stringify({ id: this.#id, ...self() }))
    const args = [names.times, names.entries, this.#id, entry ?? '', String(KEPT_MS)]
    const told = await client.script('beat', args, budgetMs)
    if (this.#isClosed) return
    const pauseMs = told === undefined ? AGAIN_MS : BEAT_MS
    this.#cancel = clock.after(pauseMs * (0.75 + random() / 2), () => void this.start())
  }

  /** The fleet forgets this node. Never rejects. */
  async close(): Promise<void> {
    const { budgetMs, client, signer } = this.#options
    this.#isClosed = true
    this.#cancel()
    const { entries, times } = namesOf(signer)
    await client.script('leave', [times, entries, this.#id], budgetMs)
  }
}

/** What uses a store. */
export interface FleetSurvey {
  /** Those that were seen last first. */
  readonly nodes: readonly FleetNode[]
  /** What stands where nodes do, and was not signed with this key. */
  readonly unsigned: number
  /** Fleets with another key, which share nothing with this one; as far as it is known. */
  readonly others: number
}

/** @returns undefined: the store has no answer */
export async function surveyFleet(
  client: Pick<RedisClient, 'script' | 'scan'>,
  signer: EntrySigner,
): Promise<FleetSurvey | undefined> {
  const { entries, times } = namesOf(signer)
  // A node that is seen meanwhile moves to the front, and the others behind it: some come twice, and none is missed.
  const found = new Map<unknown, FleetNode>()
  const unsigned = new Set<unknown>()
  for (let from = 0; from < MAX_NODES; from += PAGE) {
    const args = [times, entries, String(from), String(PAGE)]
    const reply = await client.script('nodes', args, LIST_LIMIT_MS)
    if (!Array.isArray(reply)) return undefined
    const [now, ...rest] = reply as readonly unknown[]
    for (let index = 0; index + 2 < rest.length; index += 3) {
      const [id, seen, entry] = rest.slice(index, index + 3)
      const body = readNode(signer.open(entries, String(entry))?.body ?? '')
      if (body === undefined) unsigned.add(id)
      else found.set(id, { ...body, ageMs: Number(now) - Number(seen) })
    }
    if (rest.length < PAGE * 3) break
  }
  const lists = await namesLike(client, entries.replace(/\{.*\}/, '{*}'))
  return {
    nodes: [...found.values()],
    unsigned: unsigned.size,
    others: lists.filter((name) => name !== entries).length,
  }
}

/** Of the first 10,000 names or so that the store has. */
async function namesLike(
  client: Pick<RedisClient, 'scan'>,
  pattern: string,
): Promise<readonly string[]> {
  const found = new Set<string>()
  let cursor = '0'
  for (let round = 0; round < MAX_SCANS; round += 1) {
    const reply = await client.scan(pattern, cursor, LIST_LIMIT_MS)
    if (!Array.isArray(reply) || !Array.isArray(reply[1])) break
    for (const name of reply[1]) found.add(String(name))
    cursor = String(reply[0])
    if (cursor === '0') break
  }
  return [...found]
}

function namesOf(signer: EntrySigner): { readonly times: string; readonly entries: string } {
  return { times: signer.name('seen', 'nodes'), entries: signer.name('nodes', 'nodes') }
}
