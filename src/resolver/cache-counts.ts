/**
 * What came of a question: `hit` fresh from memory, `miss` a registry was asked and nothing was
 * known, `revalidated` an old answer turned out to be true still, `stale` an old one was given for
 * want of a registry, `negative` a remembered "not there", `coalesced` another caller's walk was shared.
 */
export type CacheEvent = 'hit' | 'miss' | 'coalesced' | 'stale' | 'negative' | 'revalidated'

/** Since the start; `entries` are those of now. */
export interface CacheCounts extends Readonly<Record<CacheEvent, number>> {
  /** Left for want of room. */
  readonly evicted: number
  readonly entries: { readonly where: number; readonly what: number; readonly negative: number }
}
