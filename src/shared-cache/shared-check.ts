import { randomUUID } from 'node:crypto'
import { pause } from '../concurrency/clock.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { isDigest } from '../reference/digest.ts'
import type { AskedPlace, ImagePlace } from '../resolver/availability.ts'
import type { SharedQuestion } from '../resolver/shared-cache.ts'
import { Claim, lookAt, type Names } from './claim.ts'
import type { LookupTools } from './redis-lookup.ts'
import type { Look } from './scripts.ts'

/** Where an image is, as a check asks for it. */
export interface CheckQuestion
  extends Pick<SharedQuestion, 'reference' | 'candidates' | 'credentials' | 'signal'> {
  /** How old what another node was told may be. */
  readonly maxAgeMs: number
}

/** What another node was told by a place; undefined: nothing. */
export type Known = (place: AskedPlace) => ImagePlace | undefined

/** The claim of a dead node ends after that; a node that lives prolongs its own. */
const CLAIM_MS = 10_000
/** Between two looks at what another node is asking for, which takes longer than an answer for a pull. */
const FIRST_PAUSE_MS = 50
const MAX_PAUSE_MS = 2_000
/** As long as a registry can make a check wait. */
const MAX_WAIT_MS = 1_800_000
const NOTHING: Known = () => undefined

/**
 * Asks where an image is, unless another node of the fleet was told lately, or asks at the moment: then that is waited
 * for. Yes and no of a registry are shared; refusals and silence may be for one node alone, so that each asks for itself.
 *
 * @param ask asks the places of which nothing is known; it never rejects
 */
export async function checkOnce(
  question: CheckQuestion,
  names: Names,
  tools: LookupTools,
  ask: (known: Known) => Promise<readonly ImagePlace[]>,
): Promise<readonly ImagePlace[]> {
  const { claims } = tools.metrics
  const { random = Math.random, steady } = tools
  const { maxAgeMs, signal } = question
  const endMs = steady() + MAX_WAIT_MS
  let oldest: number | undefined
  for (let pauseMs = 0; !signal.aborted; ) {
    const id = randomUUID()
    const wanted = { id, claimMs: CLAIM_MS, oldest, maxAgeMs, limitMs: tools.budgetMs }
    const looked = await lookAt(names, tools, wanted)
    if (looked?.state === 'won') return askForAll(looked, id, names, question, tools, ask)
    if (looked?.state === 'fresh') {
      const entry = tools.open(names.entry, looked.text)
      const known = entry && readPlaces(entry.body, looked.now - entry.since)
      if (known !== undefined) return ask(known)
      // What was there is not to be used.
      oldest = looked.now + 1
    } else if (looked?.state === 'wait' && steady() < endMs) {
      claims.waited += pauseMs === 0 ? 1 : 0
      pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), MAX_PAUSE_MS)
      await pause(pauseMs * (0.5 + random()), tools.clock, signal)
    } else {
      claims.given_up += pauseMs === 0 ? 0 : 1
      break
    }
  }
  return ask(NOTHING)
}

async function askForAll(
  { epoch, now }: Look,
  id: string,
  names: Names,
  { maxAgeMs, signal }: CheckQuestion,
  tools: LookupTools,
  ask: (known: Known) => Promise<readonly ImagePlace[]>,
): Promise<readonly ImagePlace[]> {
  const { budgetMs, client, metrics, signer } = tools
  metrics.claims.won += 1
  const claim = new Claim(names.claim, id, CLAIM_MS, tools)
  const places = await ask(NOTHING)
  const body = signal.aborted ? undefined : writePlaces(places)
  const entry = body && signer.sign(names.entry, now, body, epoch)
  if (entry) {
    claim.end()
    const keepMs = String(Math.ceil(maxAgeMs))
    const args = [names.entry, names.claim, entry, String(now), keepMs, id]
    await client.script('publish', args, budgetMs)
  } else await claim.release(0)
  return places
}

/** @returns undefined: there is no yes or no among them */
function writePlaces(places: readonly ImagePlace[]): string | undefined {
  const told = places.flatMap(({ digest, reference, registry, state }) => {
    if (state === 'absent') return [[registry, reference]]
    return state === 'present' && digest !== undefined ? [[registry, reference, digest]] : []
  })
  return told.length === 0 ? undefined : JSON.stringify({ told })
}

/** @returns undefined: it is no such body. Nothing of it is unchecked */
function readPlaces(body: string, ageMs: number): Known | undefined {
  const { told } = fieldsOf(parseJson(body))
  if (!Array.isArray(told)) return undefined
  const digests = new Map<string, string | undefined>()
  for (const each of told as readonly unknown[]) {
    const [registry, reference, digest] = Array.isArray(each) ? each : []
    if (typeof registry !== 'string' || typeof reference !== 'string') return undefined
    if (digest !== undefined && !isDigest(String(digest))) return undefined
    digests.set(JSON.stringify([registry, reference]), digest)
  }
  return (place) => {
    const key = JSON.stringify([place.registry, place.reference])
    if (!digests.has(key)) return undefined
    const digest = digests.get(key)
    if (digest === undefined) return { ...place, state: 'absent', ageMs }
    return { ...place, state: 'present', digest, ageMs }
  }
}
