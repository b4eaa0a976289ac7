import type { RegistryEntry } from '../registry/entry.ts'

/** The effective configuration: every default filled in, every unit in its name. */
export interface Config {
  /** The file it was read from; undefined when there is none and the defaults hold. */
  readonly file: string | undefined
  /** Path of our unix socket. */
  readonly shim: string
  /** Path of the runtime's unix socket; undefined when none was configured or found. */
  readonly cri: string | undefined
  /** The file names `shim` or `cri`, so that without that door the service is not ready. */
  readonly criExpected: boolean
  /** Open our socket before the runtime answers. */
  readonly force: boolean
  readonly debug: boolean
  /** Folder for what must outlive a restart. */
  readonly image: string
  /** CRI version spoken to the runtime; undefined: found out. */
  readonly version: 'v1' | 'v1alpha2' | undefined
  /** Limit of one image operation that brings no deadline of its own. */
  readonly timeoutMs: number
  readonly reloadIntervalMs: number
  readonly cache: {
    /** Entries; 0 turns the cache off. */
    readonly imageCacheSize: number
    readonly imageCacheTtlMs: number
    readonly domainCacheTtlMs: number
    readonly tagTtlMs: number
    readonly statsLogIntervalMs: number
    readonly disableStats: boolean
  }
  /** In the order they are asked: priority, then the offline one, then name. */
  readonly registries: readonly RegistryEntry[]
  /** `host:port` or `unix:///path`. */
  readonly http: { readonly listen: string }
  readonly onResolveError: 'passthrough' | 'reject'
}
