import type { Credentials } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'

/** What a registry may be asked for: `resolve` a tag, `pull` by digest (containerd's hosts.toml). */
export type Capability = 'resolve' | 'pull'

/** One configured registry. */
export interface RegistryEntry {
  /**
   * `host[:port][/prefix]`; how logs and answers call it. Unique in a configuration: of several at one
   * address the second is `…#2`, the third `…#3`, in the order of asking.
   */
  readonly name: string
  readonly endpoint: Endpoint
  /** 0 to 10000, higher is asked first. */
  readonly priority: number
  /** The one of `address:`; it wins ties. */
  readonly offline: boolean
  /** As written in the configuration itself. */
  readonly credentials?: Credentials
  readonly credentialFiles?: CredentialFiles
  /**
   * Whose images this entry serves: `docker.io`, `*.corp` (its subdomains), `quay.io/team` (a path
   * prefix). Absent: a private registry serves every domain that is not an entry itself, a
   * well-known public one only its own.
   */
  readonly upstreams?: readonly string[]
  /** Domains that an entry without `upstreams` does not serve all the same. */
  readonly exceptUpstreams?: readonly string[]
  /** Repository below the prefix, of `{domain}` and `{path}`; default `{path}`. */
  readonly path?: string
  /** Another path for what is asked for, below the prefix; without `path` beside it. */
  readonly rewrite?: RepositoryRewrite
  /** Default: both. Without `resolve` it is asked by digest only, without `pull` nobody is sent there. */
  readonly capabilities?: readonly Capability[]
  /**
   * false: for a caller that brings credentials it is used only after the origin accepted these
   * (KEP-2535). Default true.
   */
  readonly trusted?: boolean
  /** The field of the configuration that led to it; absent: it was written there itself. */
  readonly source?: 'hostsDir' | 'portoshim'
  /** It gets no secrets but those that are written in it. Default: the keychain's and callers' too. */
  readonly ownSecretsOnly?: true
}

/** Regular expressions over the path of a repository (k3s and rke2, `[host.….rewrite]`). */
export interface RepositoryRewrite {
  /** As written, each with what replaces its matches. */
  readonly rules: readonly (readonly [expression: string, replacement: string])[]
  /** Where the repository is kept; undefined: the rules contradict each other. */
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
