import type { Endpoint } from './endpoint.ts'
import { originEndpoint } from './endpoint.ts'
import type { RegistryEntry } from './entry.ts'
import { canonicalDomain, DOCKER_HUB_HOST, isPublicRegistry } from './public-registries.ts'

/** Which of the configured registries may be asked for the images of which domain. */
export class ConfiguredRegistries {
  readonly generation: number
  readonly #entries: readonly RegistryEntry[]
  /** Domains that are configured registries themselves. */
  readonly #own: ReadonlyMap<string, RegistryEntry>

  /**
   * @param entries in the order of asking
   * @param generation differs from that of every configuration before
   */
  constructor(entries: readonly RegistryEntry[], generation: number) {
    this.#entries = entries
    this.generation = generation
    // The first one wins: on one host there may be entries for several prefixes.
    const roots = entries.filter(({ endpoint }) => endpoint.prefix === '')
    this.#own = new Map(roots.map((entry) => [domainOf(entry), entry] as const).reverse())
  }

  serving(domain: string): readonly RegistryEntry[] {
    const wanted = canonicalDomain(domain)
    return this.#entries.filter((entry) => this.#serves(entry, wanted))
  }

  origin(domain: string): { readonly endpoint: Endpoint; readonly entry?: RegistryEntry } {
    const entry = this.#own.get(canonicalDomain(domain))
    if (entry === undefined) return { endpoint: originEndpoint(domain) }
    const { endpoint } = entry
    const isHub = domainOf(entry) === canonicalDomain(DOCKER_HUB_HOST)
    return { endpoint: isHub ? { ...endpoint, host: DOCKER_HUB_HOST } : endpoint, entry }
  }

  /**
   * A name that spells out a configured registry means that one: another private registry may have
   * something else by the same path. And no public registry is asked for anybody else's names,
   * where a stranger could own them.
   */
  #serves(entry: RegistryEntry, domain: string): boolean {
    if (this.#own.get(domain) === entry) return true
    if (entry.upstreams !== undefined) {
      return entry.upstreams.some((upstream) => canonicalDomain(upstream) === domain)
    }
    return !isPublicRegistry(entry.endpoint.host) && !this.#own.has(domain)
  }
}

function domainOf(entry: RegistryEntry): string {
  return canonicalDomain(entry.endpoint.host)
}
