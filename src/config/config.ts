import type { Endpoint } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The effective configuration: every default filled in, every unit in its name. */
export interface Config {
  /** The file it was read from; undefined when there is none and the defaults hold. */
  readonly file: string | undefined
  /** Path of our unix socket. */
  readonly shim: string
  /** Path of the runtime's unix socket; undefined when none was configured or found. */
  readonly cri: string | undefined
  /** The file names `shim` or `cri`, so that without the CRI server the service is not ready. */
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
  /** How long a registry may be silent before the next one is asked in its place. */
  readonly probeBudgetMs: number
  /** After how long a silence a configured private registry is asked by HEAD beside it; 0: never. */
  readonly hedgeDelayMs: number
  readonly cache: {
    /** Entries; 0 turns the cache off. */
    readonly imageCacheSize: number
    readonly imageCacheTtlMs: number
    readonly domainCacheTtlMs: number
    readonly tagTtlMs: number
    readonly statsLogIntervalMs: number
    readonly disableStats: boolean
    /** How long "no registry has it" is believed; 0: never. */
    readonly negativeTtlMs: number
    /** How old an answer may be that is given when no registry answers; 0: never given. */
    readonly staleIfErrorMs: number
    /** The store that the nodes of a fleet share. Absent: none. */
    readonly shared?: SharedStoreConfig
  }
  /** In the order they are asked: priority, then the offline one, then name. */
  readonly registries: readonly RegistryEntry[]
  /** Services that are asked before any registry, in this order. */
  readonly resolvers: readonly ResolverEntry[]
  /** Upstreams (as in an entry) whose images come from configured registries alone, never from their origin. */
  readonly mirrorsOnly: readonly string[]
  /**
   * A reference may name a registry on loopback although none is configured there: for a command that its
   * user gave the reference, not for a service that is asked by others. Default: no.
   */
  readonly loopbackOrigins?: boolean
  /** Token services outside a registry's own site that may be on a private address: `host[:port]`. */
  readonly realms: readonly string[]
  /** Folder of hosts.toml files; what they say is among `registries` and `mirrorsOnly`. */
  readonly hostsDir: string | undefined
  /** A portoshim.yaml; what it says is among `registries`, and `pauseImage`. */
  readonly portoshim: string | undefined
  /** image-cri-shim's ConfigMap; what it says is among all the rest. */
  readonly configMap: ConfigMapConfig | undefined
  readonly keychain: KeychainConfig
  /** Ask by digest once more before a registry counts as one that has it. */
  readonly verifyDigest: boolean
  readonly proxy: ProxyConfig
  /** The sandbox image of a portoshim.yaml, resolved at the start and kept warm. */
  readonly pauseImage: string | undefined
  readonly http: HttpConfig
  readonly mirror: MirrorConfig
  readonly pull: {
    /** false: the mirror's tag is pulled, for runtimes that need it. */
    readonly byDigest: boolean
    /** false: the runtime pulls also what is there and unchanged. */
    readonly skipUnchanged: boolean
    /** How old an answer of `resolvers` may be that a pull takes. */
    readonly freshnessMs: number
  }
  /** How often the images in use are looked for at the registries. */
  readonly check: {
    /** 0: never. */
    readonly intervalMs: number
  }
  /** The webhook that pins pods. */
  readonly admission: {
    readonly enabled: boolean
    readonly budgetMs: number
    /** Of a pod with an image that is not known in time. */
    readonly onFailure: 'passthrough' | 'reject'
  }
  readonly onResolveError: 'passthrough' | 'reject'
}

/** A Valkey or Redis; all paths are absolute. */
export interface SharedStoreConfig {
  /** As written; it holds no secret. */
  readonly url: string
  readonly address: StoreAddress
  /** undefined only where no other machine can reach the store. */
  readonly keyFile: string | undefined
  readonly username: string | undefined
  readonly passwordFile: string | undefined
  readonly sentinelPasswordFile: string | undefined
  /** Hosts, IP addresses and networks beside `address` that sentinels and clusters may name without TLS. */
  readonly addresses: readonly string[]
  /** Other machines can reach the store, and what it says crosses the network in the clear. */
  readonly isPlainOnNetwork: boolean
  /** With `rediss://`; undefined: Node's own authorities, no client certificate. */
  readonly tls: Readonly<Record<'caFile' | 'certFile' | 'keyFile', string | undefined>>
  /** How old an answer of another node may be when a pull takes it. */
  readonly freshnessMs: number
  /** How long a lookup waits for the store. */
  readonly budgetMs: number
}

export interface StoreAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly isTls: boolean
  /** At least one; exactly one of a single server. */
  readonly hosts: readonly (StoreHost | { readonly path: string })[]
  readonly db: number
  /** The name that sentinels have for it. */
  readonly master?: string
}

export interface StoreHost {
  readonly host: string
  readonly port: number
}

/** A service like this one that answers for others. */
export interface ResolverEntry {
  /** Its host, authorities and the path before `/resolve`. */
  readonly endpoint: Endpoint
  readonly tokenFile: string | undefined
}

/** Where secrets are kept outside this configuration; all paths are absolute. */
export interface KeychainConfig {
  /** Docker's config.json or podman's auth.json, in the order of asking. */
  readonly dockerConfigs: readonly string[]
  /** `.dockerconfigjson` secrets as files, matched as the kubelet matches image pull secrets. */
  readonly pullSecrets: readonly string[]
  /** The kubelet's `--image-credential-provider-config` and `--image-credential-provider-bin-dir`. */
  readonly credentialProviders: { readonly config: string; readonly binDir: string } | undefined
  /** Limit of one run of a credential helper or provider. */
  readonly helperTimeoutMs: number
}

export interface ConfigMapConfig {
  readonly namespace: string
  readonly name: string
  /** Of its data. */
  readonly key: string
  /** Absolute path; undefined: the pod's service account. */
  readonly kubeconfig: string | undefined
}

/** As in HTTP_PROXY, HTTPS_PROXY and NO_PROXY; undefined: not used. */
export interface ProxyConfig {
  readonly http: string | undefined
  readonly https: string | undefined
  readonly no: string | undefined
}

/** `/v2/`. */
export interface MirrorConfig {
  readonly enabled: boolean
  /** Blobs under way at once, 1 to 256. */
  readonly blobs: number
  /** Of these to one client, 1 to 256. */
  readonly blobsPerClient: number
}

export interface HttpConfig {
  /** `host:port` or `unix:///path`. */
  readonly listen: string
  /** Bearer token for what changes something, and for all where the address is not loopback. */
  readonly token: string | undefined
  readonly tokenFile: string | undefined
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined
  /** Requests a minute and client; 0: no limit. */
  readonly rateLimit: number
  /** Take notifications of registries, with the token. */
  readonly events: boolean
}
