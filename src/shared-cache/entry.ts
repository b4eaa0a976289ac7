import { createHmac, timingSafeEqual } from 'node:crypto'
import { type Attempt, ResolveError } from '../errors.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { type Credentials, isIssued } from '../registry/credentials.ts'
import type { Candidate } from '../resolver/types.ts'
import { isAbsence } from '../resolver/unresolved-error.ts'

/** Of the form of entries and of names: entries of another version are never found. */
const VERSION = 2
/** More than an answer with a hundred places takes; a longer one is not shared. */
export const MAX_ENTRY_BYTES = 16 * 1024
const MAX_TEXT = 2_048
const MAX_ATTEMPTS = 64
/** `2 <milliseconds of the store's clock> <epoch> <HMAC> <JSON>`; the scripts read the first three. */
const ENTRY = /^2 (\d{1,15}) ([0-9a-f]{40}|-) ([\w-]{43}) (.+)$/s
/** Of what no tag leads to. */
const NO_EPOCH = '-'

/** An entry that was signed with the key of this fleet. */
export interface Entry {
  /** When a registry was asked, in milliseconds of the store's clock, or before that. */
  readonly since: number
  readonly body: string
}

/**
 * Names and signs what a fleet shares. Without the key no entry can be made, moved to another name, or
 * given another time; and no name of an image or secret of a configuration be told from a name.
 */
export class EntrySigner {
  readonly #key: Buffer

  /** @param key empty where no other machine can reach the store */
  constructor(key: Buffer) {
    this.#key = key
  }

  /**
   * The name of an entry.
   *
   * @param slot entries with the same one are together on one node of a cluster
   * @param about all that decides whether the entry is for a question
   */
  name(kind: string, slot: string, ...about: readonly string[]): string {
    const rest = about.length === 0 ? '' : `:${this.#mac('name', kind, ...about).slice(0, 22)}`
    return `image-resolver:${VERSION}:{${this.#mac('slot', slot).slice(0, 22)}}:${kind}${rest}`
  }

  /**
   * @param epoch as the script `look` gave it before a registry was asked
   * @returns undefined: it is too long to be shared
   */
  sign(name: string, since: number, body: string, epoch = NO_EPOCH): string | undefined {
    const mac = this.#mac('entry', name, String(since), epoch, body)
    const entry = `${VERSION} ${since} ${epoch} ${mac} ${body}`
    return Buffer.byteLength(entry) > MAX_ENTRY_BYTES ? undefined : entry
  }

  /** @returns undefined: it is not an entry of that name that was signed with this key */
  open(name: string, text: string): Entry | undefined {
    const [, since = '', epoch = '', mac = '', body = ''] = ENTRY.exec(text) ?? []
    if (body === '') return undefined
    const expected = Buffer.from(this.#mac('entry', name, since, epoch, body))
    return timingSafeEqual(expected, Buffer.from(mac)) ? { since: Number(since), body } : undefined
  }

  #mac(...parts: readonly string[]): string {
    // JSON keeps the parts apart, whatever is in them.
    const hmac = createHmac('sha256', this.#key)
    return hmac.update(JSON.stringify([VERSION, ...parts])).digest('base64url')
  }
}

/** The name of the entry that says how long a registry asked to wait; one for each account, since registries count by these. */
export function parkName(
  signer: EntrySigner,
  { endpoint, registry }: Candidate,
  credentials: Credentials | undefined,
): string {
  const place = `${registry} ${endpoint.scheme}://${endpoint.host}`
  return signer.name('parked', `${place} ${accountOf(credentials)}`)
}

/**
 * What tells accounts apart, for a name that is made with the key and from which nothing of it can be told. A program issues
 * each node another secret for the same account, so that of these the user name alone counts.
 */
export function accountOf(credentials: Credentials | undefined): string {
  if (credentials === undefined) return ''
  const { kind } = credentials
  const user = kind === 'basic' ? credentials.username : ''
  if (isIssued(credentials)) return JSON.stringify([kind, user])
  return JSON.stringify([kind, user, kind === 'basic' ? credentials.password : credentials.token])
}

/** What no registry has, as the body of an entry. */
export function absenceBody({ attempts, code, message }: ResolveError): string {
  return JSON.stringify({ absent: { code, message, attempts } })
}

/** @returns undefined: it is no such body. Nothing of it is unchecked */
export function readAbsence(body: string): ResolveError | undefined {
  const { code, message, attempts } = fieldsOf(fieldsOf(parseJson(body))['absent'])
  if (code !== 'MANIFEST_UNKNOWN' && code !== 'PLATFORM_UNKNOWN') return undefined
  if (!isText(message) || !Array.isArray(attempts) || attempts.length > MAX_ATTEMPTS) {
    return undefined
  }
  const read = attempts.flatMap((each) => readAttempt(each) ?? [])
  const error = new ResolveError(code, message, { attempts: read })
  return read.length === attempts.length && isAbsence(error) ? error : undefined
}

function readAttempt(value: unknown): Attempt | undefined {
  const { message, ms, outcome, registry, status, step } = fieldsOf(value)
  if (!isText(registry) || outcome !== 'not_found' || typeof ms !== 'number') return undefined
  if (step !== 'manifest' && step !== 'platform') return undefined
  return {
    registry,
    step,
    outcome,
    ms,
    ...(typeof status === 'number' && { status }),
    ...(isText(message) && { message }),
  }
}

/** A number of milliseconds and nothing else, as the body of an entry. */
export function readMilliseconds(body: string): number | undefined {
  const { ms } = fieldsOf(parseJson(body))
  return typeof ms === 'number' && ms > 0 && Number.isFinite(ms) ? ms : undefined
}

/** Which node is there, as the body of an entry. */
export interface NodeBody {
  /** Host name, as the node tells it. */
  readonly node: string
  readonly version: string
  /** Fingerprint of its configuration. */
  readonly configuration: string
}

/** @returns undefined: it is no such body */
export function readNode(body: string): NodeBody | undefined {
  const { configuration, node, version } = fieldsOf(parseJson(body))
  if (!isText(node) || !isText(version) || !isText(configuration)) return undefined
  return { node, version, configuration }
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= MAX_TEXT
}
