import { ResolveError } from '../errors.ts'
import type { ImageIdentity } from '../registry/image.ts'
import { isAbsence } from '../resolver/cache/negatives.ts'
import { answerLine, identityLine } from '../resolver/cache/snapshot-lines.ts'
import type { SharedQuestion } from '../resolver/sharing.ts'
import type { Resolution } from '../resolver/types.ts'
import type { Claim } from './claim.ts'
import { absenceBody, type EntrySigner } from './entry.ts'
import type { Store } from './store.ts'

/** Where what belongs to one question stands in the store. */
export interface Names {
  readonly entry: string
  readonly claim: string
  readonly moved: string
}

/** Candidates of one question that are looked at. */
export const MAX_CANDIDATES = 8
/** For how long the others are told that a node got no answer that can be shared. */
const FAILED_MS = 1_000
/** How long an entry is kept, at most; what a digest is does not change. */
const MAX_KEPT_MS = 86_400_000

interface PublishOptions {
  readonly store: Pick<Store, 'script' | 'set'>
  readonly signer: EntrySigner
  readonly budgetMs: number
  /** When registries were asked, at the earliest, by the store's clock; undefined: nothing can be told. */
  readonly since: number | undefined
  readonly claim: Claim | undefined
}

/** Tells the other nodes what registries said, and gives the claim back. It is not waited for. */
export function publish(
  outcome: Resolution | ResolveError,
  question: SharedQuestion,
  names: Names,
  { budgetMs, claim, signer, since, store }: PublishOptions,
): void {
  const { platform } = question
  const isError = outcome instanceof ResolveError
  const body = bodyOf(outcome, question)
  const entry = since === undefined ? undefined : body && signer.sign(names.entry, since, body)
  if (!entry) {
    const isLeft = isError && outcome.code === 'CANCELED'
    void claim?.release(isLeft ? 0 : FAILED_MS)
    return
  }
  claim?.end()
  const keepMs = String(Math.ceil(keepMsOf(question, isError)))
  const args = [names.entry, names.claim, entry, String(since), keepMs, claim?.id ?? '']
  void store.script('publish', args, budgetMs)
  if (isError || since === undefined) return
  const line = identityLine({ asked: platform, identity: identityOf(outcome) })
  const name = identityName(signer, outcome.digest, platform)
  const text = line && signer.sign(name, since, line)
  if (text) void store.set(name, text, MAX_KEPT_MS, budgetMs)
  notePlaces(question, { budgetMs, signer, store })
}

/** Where it stands which image a digest is. */
export function identityName(signer: EntrySigner, digest: string, platform: string): string {
  return signer.name('image', digest, platform)
}

/** @returns undefined: it is not shared */
function bodyOf(
  outcome: Resolution | ResolveError,
  { negativeTtlMs, platform }: SharedQuestion,
): string | undefined {
  if (!(outcome instanceof ResolveError)) return answerLine(platform, outcome)
  return isAbsence(outcome) && negativeTtlMs > 0 ? absenceBody(outcome) : undefined
}

function keepMsOf(
  { keptMs, maxAgeMs = 0, negativeTtlMs }: SharedQuestion,
  isError: boolean,
): number {
  return isError ? negativeTtlMs : Math.min(Math.max(keptMs, maxAgeMs, 1), MAX_KEPT_MS)
}

/** For tags that change: registries say in which repository, which is not how a reference spells it. */
function notePlaces(
  { candidates, reference }: SharedQuestion,
  { budgetMs, signer, store }: Pick<PublishOptions, 'budgetMs' | 'signer' | 'store'>,
): void {
  if (reference.includes('@')) return
  const repositories = new Set(candidates.map(({ repository }) => repository))
  for (const repository of [...repositories].slice(0, MAX_CANDIDATES)) {
    const name = signer.name('places', repository)
    void store.script('note', [name, reference, String(MAX_KEPT_MS)], budgetMs)
  }
}

function identityOf(resolution: Resolution): ImageIdentity {
  const { digest, imageId, manifestDigest, mediaType, platform, size } = resolution
  return { digest, imageId, manifestDigest, mediaType, platform, size }
}
