import type { ResolveError } from '../errors.ts'
import type { Credentials } from '../registry/credentials.ts'
import type { ImageIdentity } from '../registry/image.ts'
import type { Candidate, RankedReference, Resolution } from './types.ts'

/** A question as the nodes of a fleet share it: without a caller's credentials. */
export interface SharedQuestion {
  /** Normalised. */
  readonly reference: string
  /** `os/architecture[/variant]` */
  readonly platform: string
  /** The caller named the platform. */
  readonly isPlatformAsked: boolean
  /** The registries that would be asked; nodes that differ in this do not share an answer. */
  readonly candidates: readonly Candidate[]
  /** The operator's for each candidate, if any: what one account may see is not told to another. */
  readonly credentials: readonly (Credentials | undefined)[]
  /** How old an answer may be; undefined: none of another node is taken. */
  readonly maxAgeMs: number | undefined
  /** How old "no registry has it" may be, and how long it is kept. */
  readonly negativeTtlMs: number
  /** How long an answer is kept to be confirmed. */
  readonly keptMs: number
  /** How long another node is waited for that asks already. */
  readonly waitMs: number
  readonly signal: AbortSignal
}

/** What other nodes know. Ages are in milliseconds, by the clock of the store. */
export interface SharedReply {
  /** Young enough: no registry has to be asked. */
  readonly answer?: SharedAnswer
  /** As `answer`: no registry has it. */
  readonly absence?: { readonly error: ResolveError; readonly ageMs: number }
  /** An answer that is too old, to be confirmed. */
  readonly known?: SharedAnswer
  /** Which image a digest is. */
  identity(digest: string): Promise<ImageIdentity | undefined>
  /** Registries that told another node to wait, with what is left of it. */
  readonly parked: ReadonlyMap<string, number>
  /** To be called with what registries said, or that there is nothing to tell. The other nodes wait for it. */
  tell(outcome: Resolution | ResolveError): void
}

export interface SharedAnswer {
  readonly identity: ImageIdentity
  readonly registry: string
  readonly references: readonly RankedReference[]
  readonly ageMs: number
}

/** What the nodes of a fleet tell each other. No method rejects, and none waits longer than the budget of the store. */
export interface SharedCache {
  /** How old an answer of another node may be when a pull takes it. */
  readonly freshnessMs: number
  /** It asks other services, and is not asked for one of these: they could ask each other for ever. Default: no. */
  readonly asksServices?: boolean
  lookup(question: SharedQuestion): Promise<SharedReply>
  /** A registry answered 429 to a request with these credentials, which are not a caller's. */
  park(candidate: Candidate, credentials: Credentials | undefined, waitMs: number): void
}
