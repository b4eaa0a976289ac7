import { ResolveError } from '../../src/errors.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import { type CacheLimits, ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { Resolver, type ResolverOptions } from '../../src/resolver/resolver.ts'
import type { Registries } from '../../src/resolver/types.ts'
import { FakeClock } from './fake-clock.ts'
import { AMD64, entry, FakeHealth, FakeSource, type Reply, registriesOf } from './resolver.ts'

/** A resolver whose clock, registries and health the test owns. */
export function resolverScene(
  replies: Record<string, Reply>,
  options: Partial<ResolverOptions> & Partial<CacheLimits> = {},
) {
  const { size = 16, staleIfErrorMs = 86_400_000, ...overrides } = options
  const clock = new FakeClock()
  const source = new FakeSource(replies)
  const health = new FakeHealth()
  const state: { registries: Registries } = { registries: registriesOf([entry('m1'), entry('m2')]) }
  const limits = { size, staleIfErrorMs, tagTtlMs: 60_000, keepMs: 86_400_000 }
  const cache = new ResolutionCache(limits, () => clock.now())
  const resolver = new Resolver({
    source,
    registries: () => state.registries,
    health,
    cache,
    clock,
    platform: AMD64,
    limits: () => ({ hedgeDelayMs: 300, probeBudgetMs: 2_000, totalMs: 20_000 }),
    fingerprint: (credentials) => (credentials === undefined ? '' : JSON.stringify(credentials)),
    ...overrides,
  })
  return { resolver, source, clock, state, health, cache }
}

export const has =
  (image: ImageIdentity): Reply =>
  async () =>
    image

export const missing: Reply = async () => {
  throw new ResolveError('MANIFEST_UNKNOWN', 'not found', { status: 404 })
}

export const refused: Reply = async () => {
  throw new ResolveError('UNAUTHORIZED', 'authentication required', { status: 401 })
}

export const down: Reply = async () => {
  throw new ResolveError('UNAVAILABLE', 'connect ECONNREFUSED', { step: 'connect' })
}

export const never: Reply = () => new Promise(() => {})
