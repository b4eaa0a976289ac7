import type { Platform } from '../../src/reference/platform.ts'
import type { Reference } from '../../src/reference/reference.ts'
import type { RegistryEntry } from '../../src/registry/entry.ts'
import type { ImageIdentity, ImageRequest, RateLimit } from '../../src/registry/image.ts'
import type { Candidate, Health, ImageSource, Registries } from '../../src/resolver/types.ts'

export const AMD64 = { os: 'linux', architecture: 'amd64' }

export function digestOf(seed: string): string {
  return `sha256:${Buffer.from(seed.padEnd(32, '.')).toString('hex').slice(0, 64)}`
}

export function candidate(registry: string, fields: Partial<Candidate> = {}): Candidate {
  return {
    registry,
    endpoint: { scheme: 'https', host: registry, prefix: '' },
    repository: 'library/nginx',
    pullName: `${registry}/library/nginx`,
    priority: 500,
    origin: false,
    configured: true,
    ...fields,
  }
}

export function entry(name: string, fields: Partial<RegistryEntry> = {}): RegistryEntry {
  const [host = name, ...prefix] = name.split('/')
  return {
    name,
    endpoint: { scheme: 'https', host, prefix: prefix.join('/') },
    priority: 500,
    offline: false,
    ...fields,
  }
}

export function nginx(fields: Partial<Reference> = {}): Reference {
  return {
    domain: 'docker.io',
    path: 'library/nginx',
    tag: 'latest',
    digest: undefined,
    ...fields,
  }
}

export function identity(seed: string, fields: Partial<ImageIdentity> = {}): ImageIdentity {
  return {
    digest: digestOf(`${seed} index`),
    mediaType: 'application/vnd.oci.image.index.v1+json',
    size: 500,
    manifestDigest: digestOf(`${seed} manifest`),
    imageId: digestOf(`${seed} config`),
    platform: AMD64,
    ...fields,
  }
}

/** Registries in which every entry serves every domain and origins are not configured. */
export function registriesOf(entries: readonly RegistryEntry[], generation = 1): Registries {
  return {
    generation,
    serving: () => entries,
    isPublic: (host) => host === 'docker.io',
    origin: (domain) => ({
      endpoint: { scheme: 'https', host: domain, prefix: '' },
      configured: false,
    }),
    mirrorsOnly: () => undefined,
  }
}

/** Remembers what it was told; admits everybody who is not named as resting or parked. */
export class FakeHealth implements Health {
  readonly resting = new Set<string>()
  readonly quiet = new Set<string>()
  /** Admitted to see whether they work again. */
  readonly trying = new Set<string>()
  readonly told: string[] = []
  /** Whose last failure was silence. */
  readonly silent = new Set<string>()

  isSilent(registry: string): boolean {
    return this.silent.has(registry)
  }

  admit(registry: string): boolean {
    return !this.resting.has(registry) && !this.quiet.has(registry)
  }

  onTrial(registry: string): boolean {
    return this.trying.has(registry)
  }

  isResting(registry: string): boolean {
    return this.resting.has(registry)
  }

  success(registry: string): void {
    this.told.push(`${registry} ok`)
  }

  failure(registry: string, details: { readonly retryAfterMs?: number } = {}): void {
    const { retryAfterMs } = details
    this.told.push(`${registry} failed${retryAfterMs === undefined ? '' : ` ${retryAfterMs}`}`)
  }

  remaining(registry: string, { remaining }: RateLimit): void {
    this.told.push(`${registry} ${remaining} left`)
  }

  parkedMs(registry: string): number {
    return this.quiet.has(registry) ? 5_000 : 0
  }
}

export type Reply = (request: ImageRequest) => Promise<ImageIdentity>

/** Registries by host, each a function; every question is written down. */
export class FakeSource implements ImageSource {
  readonly asked: string[] = []
  readonly requests: ImageRequest[] = []
  /** Whether a question for the platform was to be looked up, of each GET. */
  readonly lookedUp: boolean[] = []
  readonly replies: Record<string, Reply>

  constructor(replies: Record<string, Reply>) {
    this.replies = replies
  }

  image(request: ImageRequest, _platform: Platform, isAsked: boolean): Promise<ImageIdentity> {
    this.lookedUp.push(isAsked)
    return this.#ask('GET', request)
  }

  async digest(request: ImageRequest): Promise<ImageIdentity> {
    return this.#ask('HEAD', request)
  }

  async #ask(method: 'GET' | 'HEAD', request: ImageRequest): Promise<ImageIdentity> {
    const { endpoint, observe, reference, repository } = request
    const { host } = endpoint
    this.asked.push(`${method} ${host}/${repository} ${reference}`)
    this.requests.push(request)
    const reply = this.replies[host]
    if (reply === undefined) throw new Error(`nobody expected a question to ${host}`)
    observe?.({ method, url: `https://${host}/v2/${repository}/manifests/${reference}`, ms: 1 })
    return reply(request)
  }
}
