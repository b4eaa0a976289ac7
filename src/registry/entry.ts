import type { Credentials } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'

/** What a registry may be asked for: `resolve` a tag, `pull` by digest (containerd's hosts.toml). */
export type Capability = 'resolve' | 'pull'

/** One configured registry. */
export interface RegistryEntry {
  /**
   * `host[:port][/prefix]`, the name in logs and answers. Unique in a configuration: of several at one
   * address the second is `…#2`, the third `…#3`, in the order of asking.
   */
  readonly name: string
  readonly endpoint: Endpoint
  /** 0 to 10000, higher is asked first. */
  readonly priority: number
  /** It is the one of `address:`, which wins ties. */
  readonly offline: boolean
  /** As written in the configuration itself. */
  readonly credentials?: Credentials
  readonly credentialFiles?: CredentialFiles
  /**
   * The images that this entry serves: `docker.io`, `*.corp` (its subdomains), `quay.io/team` (a path
   * prefix). Absent: a private registry serves every domain that is not an entry itself, a
   * well-known public one only its own.
   */
  readonly upstreams?: readonly string[]
  /** Domains that an entry without `upstreams` does not serve. */
  readonly exceptUpstreams?: readonly string[]
  /** Repository below the prefix, of `{domain}` and `{path}`; default `{path}`. */
  readonly path?: string
  /** Rewrites the path of a repository, below the prefix; not together with `path`. */
  readonly rewrite?: RepositoryRewrite
  /** Default: both. Without `resolve` it is asked by digest only; without `pull` no answer names it. */
  readonly capabilities?: readonly Capability[]
  /**
   * false: it is used only after the origin gave the image to the caller (KEP-2535). Default true.
   */
  readonly trusted?: boolean
  /** The field of the configuration that it comes from; absent: `registries` or `address`. */
  readonly source?: 'hostsDir' | 'portoshim'
  /** It gets no credentials but its own. Default: also those of the keychain and of callers. */
  readonly ownSecretsOnly?: true
}

/** Regular expressions over the path of a repository (k3s and rke2, `[host.….rewrite]`). */
export interface RepositoryRewrite {
  /** As written. */
  readonly rules: readonly (readonly [expression: string, replacement: string])[]
  /** The path of the repository there; undefined: the rules contradict each other. */
  apply(path: string): string | undefined
}

/** Secrets that live in files beside the configuration; absolute paths, read again when they change. */
export interface CredentialFiles {
  /** With `passwordFile`. */
  readonly username?: string
  readonly passwordFile?: string
  /** An identity token, which the token service exchanges; for Portoshim's, a bearer token as it is. */
  readonly tokenFile?: string
  /** What the token in `tokenFile` is; default `identityToken`. */
  readonly tokenKind?: 'identityToken' | 'registryToken'
}
