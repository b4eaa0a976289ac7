import { Attempt as AttemptSchema } from '../../api/v1/candidate.ts'
import { type Attempt, type AttemptOutcome, type ErrorCode, ResolveError } from '../errors.ts'
import { type Fields, fieldsOf } from '../json.ts'
import { choosePlatform, formatPlatform, parsePlatform } from '../reference/platform.ts'
import { oneLine, quote } from '../reference/quote.ts'
import { parseNormalized } from '../reference/reference.ts'
import type { ImagePlatform } from '../registry/image.ts'
import { readLine } from '../resolver/cache/snapshot-lines.ts'
import {
  needsConsent,
  rankReferences,
  resolvesTags,
  type Standing,
} from '../resolver/candidates.ts'
import type { SharedAnswer, SharedQuestion, SharedReply } from '../resolver/shared-cache.ts'
import type { Candidate } from '../resolver/types.ts'

/** A node that has more registries asks them itself. */
const MAX_ATTEMPTS = 64
/** Of each text of a refusal. */
const MAX_CHARACTERS = 300

const ABSENT: ReadonlySet<AttemptOutcome> = new Set(['not_found'])
const REFUSED: ReadonlySet<AttemptOutcome> = new Set(['not_found', 'unauthorized', 'denied'])
/** After these the registries have answered, whichever service asked them: with these outcomes. */
const FINAL: ReadonlyMap<unknown, ReadonlySet<AttemptOutcome>> = new Map<
  ErrorCode,
  ReadonlySet<AttemptOutcome>
>([
  ['DENIED', REFUSED],
  ['MANIFEST_UNKNOWN', ABSENT],
  ['PLATFORM_UNKNOWN', ABSENT],
  ['UNAUTHORIZED', REFUSED],
])

export type Found = Pick<SharedReply, 'absence' | 'answer' | 'parked'>

export const NO_PAUSES: ReadonlyMap<string, number> = new Map()

/** Whether registries with that code do not have the image; else they refuse it. */
export function isAbsence(code: ErrorCode): boolean {
  return FINAL.get(code) === ABSENT
}

/**
 * @returns what registries said to the resolver; nothing where this node may reach more of them
 * @throws Error for what the resolver says of itself
 */
export function refusalIn(body: Fields, status: number, question: SharedQuestion): Found {
  const [first] = Array.isArray(body['errors']) ? body['errors'] : []
  const { code, detail, message } = fieldsOf(first)
  const { attempts } = fieldsOf(detail)
  if (!Array.isArray(attempts) || attempts.length === 0 || typeof message !== 'string') {
    const said = typeof message === 'string' ? `: ${quote(message)}` : ''
    throw new Error(`it answered ${status}${said}`)
  }
  const told = attempts.slice(0, MAX_ATTEMPTS)
  const read = told.flatMap((each) => readAttempt(each) ?? [])
  const outcomes = FINAL.get(code)
  // Of an image without an index this node's own platform is assumed, which the resolver cannot.
  const isOpen = code === 'PLATFORM_UNKNOWN' && !question.isPlatformAsked
  if (outcomes === undefined || isOpen || read.length < told.length) return { parked: NO_PAUSES }
  if (!isOfAll(read, outcomes, question)) return { parked: NO_PAUSES }
  const error = new ResolveError(code as ErrorCode, shortened(message), { attempts: read })
  // Its age is not known, so that it is not kept here.
  return { absence: { error, ageMs: Number.MAX_SAFE_INTEGER }, parked: NO_PAUSES }
}

/** Whether every registry that this node would ask has answered the resolver, and none has the image. */
function isOfAll(
  attempts: readonly Attempt[],
  outcomes: ReadonlySet<AttemptOutcome>,
  { candidates, reference }: SharedQuestion,
): boolean {
  const isByDigest = parseNormalized(reference).digest !== undefined
  const asked = candidates.filter((candidate) => isByDigest || resolvesTags(candidate))
  const isAnswered = ({ registry }: Candidate): boolean => {
    const own = attempts.filter((each) => each.registry === registry)
    // Without a status it was not asked, as where the address policy forbids it.
    const isFinal = ({ outcome, status }: Attempt) => status !== undefined && outcomes.has(outcome)
    return own.length > 0 && own.every(isFinal)
  }
  return asked.every(isAnswered) && attempts.every(({ outcome }) => outcome !== 'ok')
}

const STEPS: readonly unknown[] = AttemptSchema.properties.step.enum
const OUTCOMES: readonly unknown[] = AttemptSchema.properties.outcome.enum

function readAttempt(value: unknown): Attempt | undefined {
  const { message, ms, outcome, registry, status, step } = fieldsOf(value)
  if (typeof registry !== 'string' || typeof ms !== 'number') return undefined
  if (!STEPS.includes(step) || !OUTCOMES.includes(outcome)) return undefined
  return {
    registry: shortened(registry),
    step: step as Attempt['step'],
    outcome: outcome as Attempt['outcome'],
    ms,
    ...(typeof status === 'number' && { status }),
    ...(typeof message === 'string' && { message: shortened(message) }),
  }
}

function shortened(text: string): string {
  return oneLine(text, MAX_CHARACTERS)
}

/**
 * @returns the answer, with the places of this configuration; undefined: it is none. Nothing of it is unchecked.
 * @throws Error for one of another platform or digest
 */
export function answerIn(body: Fields, question: SharedQuestion): SharedAnswer | undefined {
  const { candidates, platform: asked, reference } = question
  const platform = fieldsOf(body['platform'])
  const [resolvedAt, expiresAt] = [body['resolvedAt'], body['expiresAt']].map((text) =>
    typeof text === 'string' ? Date.parse(text) : undefined,
  )
  const line = {
    ...body,
    size: 0,
    asked,
    platform: { ...platform, assumed: platform['assumed'] === true },
    resolvedAt,
    expiresAt,
  }
  const pinned = parseNormalized(reference).digest
  if (pinned !== undefined && typeof body['digest'] === 'string' && body['digest'] !== pinned) {
    throw new Error(`it answered ${quote(body['digest'])}, another digest than ${pinned}`)
  }
  const { known, where } = readLine(JSON.stringify({ where: line })) ?? {}
  const ageMs = body['ageMs']
  if (known === undefined || where === undefined || where.reference !== reference) return undefined
  if (typeof ageMs !== 'number' || !(ageMs >= 0)) return undefined
  if (!isFor(asked, known.identity.platform)) {
    const other = quote(formatPlatform(known.identity.platform))
    throw new Error(`it answered for ${other}, another platform than ${asked}`)
  }
  const { digest } = known.identity
  const listed = new Map(where.references.map((each) => [each.reference, each]))
  const listedAt = (pullName: string) => listed.get(`${pullName}@${digest}`)
  const isKnown = candidates.some(({ pullName }) => listedAt(pullName) !== undefined)
  const references = rankReferences(
    parseNormalized(reference),
    digest,
    candidates,
    (candidate): Standing => {
      const found = listedAt(candidate.pullName)
      if (found !== undefined) return found.verified ? 'verified' : 'assumed'
      // It names the places that have the image, where it has the same registries.
      return isKnown || needsConsent(candidate) ? 'refuted' : 'assumed'
    },
  )
  const own = candidates.find(
    ({ pullName }) =>
      listedAt(pullName)?.verified && listedAt(pullName)?.registry === where.registry,
  )
  const registry = own?.registry ?? where.registry
  return { identity: known.identity, registry, references, ageMs }
}

/** Whether a registry can have answered so: the asked platform is assumed, or runs images of the one that is named. */
function isFor(asked: string, platform: ImagePlatform): boolean {
  if (platform.assumed) return formatPlatform(platform) === asked
  return choosePlatform(parsePlatform(asked), [{ platform }]) !== undefined
}
