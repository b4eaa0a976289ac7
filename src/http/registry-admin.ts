import type { RegistryStatus, RepositoriesResponse, TagsResponse } from '../../api/v1/registries.ts'
import { withTimeout } from '../concurrency/abortable.ts'
import { ResolveError } from '../errors.ts'
import { COMPONENT, PATH_MAX_LENGTH } from '../reference/grammar.ts'
import { quote } from '../reference/quote.ts'
import type { RegistryClient } from '../registry/client.ts'
import { endpointUrl } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { HealthReport } from '../registry/health.ts'
import { canonicalDomain, isPublicRegistry, publicMirrorOf } from '../registry/public-registries.ts'
import type { Keychain } from '../resolver/types.ts'

interface RegistryAdminOptions {
  /** Those of now, in the order of asking. */
  readonly entries: () => readonly RegistryEntry[]
  readonly health: { report(registry: string): HealthReport }
  readonly images: () => Promise<Pick<RegistryClient, 'repositories' | 'tags' | 'ping'>>
  readonly keychain: Keychain
  /** Limit of asking one registry whether it is there; default 5000. */
  readonly pingLimitMs?: number
}

const PING_LIMIT_MS = 5_000

export interface PageOptions {
  /** At most so many names, 1 to 1000. */
  readonly n: number
  /** Those behind this one. */
  readonly last?: string
  readonly signal: AbortSignal
}

/** What routes use of it. */
export type RegistryLists = Pick<RegistryAdmin, 'statuses' | 'repositories' | 'tags'>

/** The configured registries: their health, and what they list. */
export class RegistryAdmin {
  readonly #options: RegistryAdminOptions

  constructor(options: RegistryAdminOptions) {
    this.#options = options
  }

  /** In the order of asking. */
  statuses(): readonly RegistryStatus[] {
    const { entries, health } = this.#options
    return entries().map((entry) => toStatus(entry, health.report(entry.name)))
  }

  /** Asks each of them now, all at once, and says how they did. */
  async check(signal: AbortSignal): Promise<readonly RegistryStatus[]> {
    return Promise.all(this.#options.entries().map((entry) => this.#ping(entry, signal)))
  }

  /**
   * A page of what it has. Of an entry with a prefix only what is below it, without the prefix.
   *
   * @throws ResolveError as RegistryClient.repositories; NAME_INVALID for a registry that is not configured
   */
  async repositories(
    registry: string,
    { signal, ...page }: PageOptions,
  ): Promise<RepositoriesResponse> {
    const entry = this.#entry(registry)
    const { prefix } = entry.endpoint
    const below = prefix === '' ? '' : `${prefix}/`
    const context = await this.#context(entry, '', signal)
    const images = await this.#options.images()
    const { last: next = null, names } = await images.repositories({ ...context, ...page })
    const own = names.filter((each) => each.startsWith(below))
    return { registry, repositories: own.map((each) => each.slice(below.length)), next }
  }

  /** @throws as repositories; NAME_INVALID for what is no repository */
  async tags(
    registry: string,
    repository: string,
    { signal, ...page }: PageOptions,
  ): Promise<TagsResponse> {
    const entry = this.#entry(registry)
    requireRepository(repository)
    const { prefix } = entry.endpoint
    const whole = prefix === '' ? repository : `${prefix}/${repository}`
    const context = await this.#context(entry, whole, signal)
    const images = await this.#options.images()
    const { last: next = null, names } = await images.tags({
      ...context,
      ...page,
      repository: whole,
    })
    return { registry, repository, tags: [...names], next }
  }

  #entry(name: string): RegistryEntry {
    const entry = this.#options.entries().find((each) => each.name === name)
    if (entry !== undefined) return entry
    throw new ResolveError('NAME_INVALID', `no registry ${quote(name)} is configured`)
  }

  async #context(entry: RegistryEntry, repository: string, signal: AbortSignal) {
    const { endpoint } = entry
    const { keychain } = this.#options
    const credentials = await keychain.credentials(endpoint.host, repository, entry)
    return { endpoint, configured: true, signal, credentials }
  }

  async #ping(entry: RegistryEntry, caller: AbortSignal): Promise<RegistryStatus> {
    const status = toStatus(entry, this.#options.health.report(entry.name))
    const { images, pingLimitMs = PING_LIMIT_MS } = this.#options
    const at = new Date().toISOString()
    try {
      const { ms } = await withTimeout(caller, pingLimitMs, async (signal) =>
        (await images()).ping(await this.#context(entry, '', signal)),
      )
      const { lastError: _, ...rest } = status
      const now = {
        healthy: true,
        use: 'in use',
        state: 'closed',
        latencyMs: ms,
        retryAt: null,
      } as const
      return { ...rest, ...now, lastSuccessAt: at }
    } catch (thrown) {
      if (caller.aborted) throw thrown
      const { code, message } =
        thrown instanceof ResolveError ? thrown : new ResolveError('UNAVAILABLE', String(thrown))
      return { ...status, healthy: false, lastFailureAt: at, lastError: { code, message } }
    }
  }
}

/** A breaker that is closed lets everything through, which reads like the opposite. */
const USE = {
  closed: 'in use',
  open: 'left alone',
  'half-open': 'on trial',
  parked: 'paused',
} as const satisfies Record<HealthReport['state'], RegistryStatus['use']>

/** As ConfiguredRegistries.serving takes an entry without upstreams. */
function defaultUpstreams({ host }: RegistryEntry['endpoint']): readonly string[] {
  const domain = canonicalDomain(host)
  return isPublicRegistry(host) ? [publicMirrorOf(host) ?? domain] : ['*']
}

/** It becomes a part of a URL that is asked with the registry's credentials: `../` would lead anywhere there. */
function requireRepository(text: string): void {
  const components = text.length > PATH_MAX_LENGTH ? [''] : text.split('/')
  if (components.every((each) => COMPONENT.test(each))) return
  const how = 'write it as in library/nginx, without the registry and without a tag'
  throw new ResolveError('NAME_INVALID', `${quote(text)} is no repository: ${how}`)
}

/** Field by field: an entry holds secrets, and a header may be one. */
function toStatus(entry: RegistryEntry, report: HealthReport): RegistryStatus {
  const { endpoint, capabilities = ['resolve', 'pull'], upstreams } = entry
  const { lastError, rateLimit, state } = report
  return {
    name: entry.name,
    address: `${endpointUrl(endpoint)}${endpoint.prefix === '' ? '' : `/${endpoint.prefix}`}`,
    path: endpoint.prefix,
    priority: entry.priority,
    offline: entry.offline,
    upstreams: [...(upstreams ?? defaultUpstreams(endpoint))],
    trusted: entry.trusted !== false,
    capabilities: [...capabilities],
    credentials: entry.credentials !== undefined || entry.credentialFiles !== undefined,
    healthy: state === 'closed',
    use: USE[state],
    state,
    latencyMs: report.latencyMs ?? null,
    retryAt: toDate(report.openUntil ?? report.parkedUntil),
    lastSuccessAt: toDate(report.lastSuccessAt),
    lastFailureAt: toDate(report.lastFailureAt),
    ...(lastError !== undefined && { lastError: { ...lastError } }),
    ...(rateLimit !== undefined && { rateLimit: { ...rateLimit } }),
  }
}

function toDate(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
