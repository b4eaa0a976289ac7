import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { VERSION } from '../../api/version.ts'
import { systemClock } from '../concurrency/clock.ts'
import { Lazy, Reloadable } from '../concurrency/lazy.ts'
import { type Config, fieldsThat, valueAt } from '../config/config.ts'
import { socketExists } from '../config/files.ts'
import { detectRuntime } from '../config/values.ts'
import { ResolveError } from '../errors.ts'
import { hostPlatform } from '../reference/platform.ts'
import type { RegistryClient } from '../registry/client.ts'
import { credentialsFingerprint } from '../registry/credentials.ts'
import { RegistryHealth } from '../registry/health.ts'
import type { ImageRequest } from '../registry/image.ts'
import { ConfiguredRegistries, registriesFingerprint } from '../registry/registries.ts'
import { Answers, type Node } from '../resolver/answers.ts'
import { type CacheLimits, ResolutionCache } from '../resolver/cache/cache.ts'
import { CacheSnapshot } from '../resolver/cache/snapshot.ts'
import { resolutionKey } from '../resolver/question.ts'
import { Resolver } from '../resolver/resolver.ts'
import type { SharedCache } from '../resolver/shared-cache.ts'
import type { Keychain } from '../resolver/types.ts'
import type { Runtime } from '../runtime/runtime.ts'
import { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { meterExchanges, meterResolutions } from '../telemetry/metering.ts'
import { RunningPulls } from '../telemetry/running-pulls.ts'
import { ReloadableSharedCache } from './reloadable-shared-cache.ts'

const steady = (): number => performance.now()

/** Of one whole resolution: a kubelet waits two minutes for most calls; a person at a terminal less. */
const TOTAL_MS = 20_000

/** Everything that answers; the servers are built around it. */
export type Core = ReturnType<typeof createCore>

/**
 * Puts everything that answers together from a configuration.
 *
 * @param detect finds a runtime's socket where the configuration names none
 * @param attemptTimeoutMs of one request to a registry; default RegistryClient's
 */
export function createCore(
  initial: Config,
  logger: Logger,
  detect: () => string | undefined = () => detectRuntime(socketExists),
  attemptTimeoutMs?: number,
) {
  const platform = hostPlatform()
  const metrics = new Metrics()
  const pulls = new RunningPulls(systemClock.now)
  const cache = new ResolutionCache(cacheLimits(initial), systemClock.now, steady)
  const health = new RegistryHealth({ now: systemClock.now, steady })
  const via = `image-resolver-${randomUUID()}`
  let config = initial
  let isSharing = false
  let registries = registriesOf(config, 1)
  const tellConfiguration = (): void => {
    metrics.configuration.hash = registriesFingerprint(config).slice(0, 12)
    metrics.configuration.loadedAt = systemClock.now()
  }
  tellConfiguration()
  const replaceable = { clock: systemClock, graceMs: TOTAL_MS }
  const images = new Reloadable(() => openImages(config, via, attemptTimeoutMs), replaceable)
  const secrets = new Reloadable(() => openSecrets(config, logger), replaceable)
  const keychain: Keychain = {
    credentials: async (...place) => (await secrets.get()).credentials(...place),
  }
  const meter = meterExchanges(metrics, logger)
  const metered = <T extends ImageRequest>(request: T): T => ({
    ...request,
    observe(exchange, rateLimit) {
      meter(exchange, request.configured ? request.endpoint.host : undefined)
      request.observe?.(exchange, rateLimit)
    },
  })
  const services = new Reloadable(
    () => openServices(config, via, keychain, metrics, logger),
    replaceable,
  )
  const askedServices: SharedCache = {
    get freshnessMs() {
      return config.pull.freshnessMs
    },
    asksServices: true,
    lookup: async (question) => (await services.get()).lookup(question),
    park: () => {},
  }
  const resolver = new Resolver({
    source: {
      image: async (request, wanted, isAsked) =>
        (await images.get()).image(metered(request), wanted, isAsked),
      digest: async (request) => (await images.get()).digest(metered(request)),
    },
    registries: () => registries,
    health,
    cache,
    clock: systemClock,
    platform,
    limits: () => {
      const { hedgeDelayMs, probeBudgetMs } = config
      return { hedgeDelayMs, probeBudgetMs, totalMs: TOTAL_MS }
    },
    fingerprint: credentialsFingerprint,
    keychain,
    keepsForOthers: () => keepsForOthers(config),
    verifyDigest: () => config.verifyDigest,
    ready: () => Promise.all([images.get(), secrets.get()]),
    observer: meterResolutions(metrics, logger),
    shared: () => (config.resolvers.length > 0 ? askedServices : shared.cache),
  })
  const shared = new ReloadableSharedCache({
    scope: () => JSON.stringify([config.keychain, config.verifyDigest]),
    self: () => ({ version: VERSION, configuration: registriesFingerprint(config) }),
    metrics: metrics.shared,
    clock: systemClock,
    steady,
    logger,
  })
  const snapshot = new CacheSnapshot({
    cache,
    folder: initial.image,
    scope: () => {
      const { generation } = registries
      const anonymous = credentialsFingerprint(undefined)
      return {
        configuration: registriesFingerprint(config),
        keyFor: (reference, wanted) => resolutionKey(generation, reference, wanted, anonymous),
      }
    },
    clock: systemClock,
    logger,
  })
  // On a node that boots, the runtime's socket may be made after us.
  const runtimeSocket = (): string | undefined => initial.cri ?? detect()
  const runtime = new Lazy(() => openNode(runtimeSocket(), initial, logger))
  const answers = new Answers({
    resolver,
    node: nodeOf(runtime),
    platform,
    now: systemClock.now,
  })
  return {
    resolver,
    answers,
    cache,
    health,
    metrics,
    /** The pulls on the CRI socket that run. */
    pulls,
    /** How registries are spoken to; another one after a configuration that changes that. */
    images: () => images.get(),
    /** The same request, with counting and logging added. */
    metered,
    keychain,
    /** What registries see in `Via`. It is unique, since this service may be one of them. */
    via,
    /** The runtime's socket: as configured, else the first known one that is there by now. */
    runtimeSocket,
    /**
     * Loaded and opened at the first call.
     *
     * @throws ResolveError UNAVAILABLE while none is configured or found
     */
    runtime: () => runtime.get(),
    /** Lets the cache outlive the process. */
    snapshot,
    /**
     * Opens the store that the fleet shares, where the configuration has one, and another one after a change. Never
     * rejects. A command that answers one question does without.
     */
    share() {
      isSharing = true
      return shared.use(config.cache.shared)
    },
    /** What the nodes of the fleet tell each other. */
    shared,
    /** Takes over the registries; what was cached under other ones is not found any more. */
    reconfigure(next: Config): void {
      const previous = config
      config = next
      if (differs(decisive(previous), decisive(next))) {
        registries = registriesOf(next, registries.generation + 1)
      }
      cache.reconfigure(cacheLimits(next))
      if (isSharing) void shared.use(next.cache.shared)
      if (differs([previous.proxy, previous.realms], [next.proxy, next.realms])) images.replace()
      if (differs(previous.keychain, next.keychain)) secrets.replace()
      const asked = ({ pull, resolvers }: Config) => [resolvers, pull.freshnessMs]
      if (differs(asked(previous), asked(next))) services.replace()
      metrics.configuration.generation += 1
      tellConfiguration()
    },
    async close(): Promise<void> {
      resolver.close()
      await shared.close()
      await runtime.close()
      await images.close()
      await secrets.close()
      await services.close()
    },
  }
}

/** What stands in an entry is for its own registry; these may hold something for any. */
function keepsForOthers({ keychain }: Config): boolean {
  const { credentialProviders, dockerConfigs, pullSecrets } = keychain
  return dockerConfigs.length + pullSecrets.length > 0 || credentialProviders !== undefined
}

function registriesOf(config: Config, generation: number): ConfiguredRegistries {
  const { loopbackOrigins, mirrorsOnly, registries } = config
  return new ConfiguredRegistries(registries, generation, mirrorsOnly, loopbackOrigins)
}

/**
 * What an answer hangs on. A comment that is added must not make ten thousand nodes ask anew, nor
 * forget what is known of registries that are down.
 */
function decisive(config: Config): readonly unknown[] {
  return fieldsThat('anew').map((place) => valueAt(config, place))
}

function cacheLimits({ cache }: Config): CacheLimits {
  const {
    imageCacheSize: size,
    imageCacheTTLMs: keepMs,
    negativeTTLMs: negativeTtlMs,
    staleIfErrorMs,
  } = cache
  const tagTtlMs = Math.min(cache.tagTTLMs, keepMs)
  return { size, tagTtlMs, keepMs, negativeTtlMs, staleIfErrorMs }
}

function differs(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) !== JSON.stringify(other)
}

async function openImages(
  { mirror, proxy, realms }: Config,
  via: string,
  attemptTimeoutMs?: number,
): Promise<RegistryClient> {
  const { RegistryClient } = await import('../registry/client.ts')
  const options = { proxy, realms, ...(mirror.enabled && { via }) }
  return new RegistryClient({ ...options, ...(attemptTimeoutMs && { attemptTimeoutMs }) })
}

/** The services that are asked before any registry. */
async function openServices(
  { pull: { freshnessMs }, resolvers: entries }: Config,
  via: string,
  keychain: Keychain,
  { shared: metrics }: Metrics,
  logger: Logger,
) {
  const { Resolvers } = await import('../shared-cache/resolvers.ts')
  return new Resolvers({ entries, freshnessMs, via, keychain, metrics, steady, logger })
}

async function openSecrets({ keychain: config }: Config, logger: Logger) {
  const { OperatorKeychain } = await import('../credentials/keychain.ts')
  return new OperatorKeychain({ config, logger, now: steady })
}

/** @throws ResolveError UNAVAILABLE where there is none */
export function requireSocket(path: string | undefined): string {
  if (path !== undefined) return path
  const hint = 'start one, or set cri: to its socket'
  throw new ResolveError('UNAVAILABLE', `there is no CRI runtime on this machine; ${hint}`)
}

async function openNode(
  socket: string | undefined,
  { version, image: stateFolder }: Config,
  logger: Logger,
): Promise<Runtime> {
  const path = requireSocket(socket)
  const { openRuntime } = await import('../runtime/runtime.ts')
  return openRuntime({ path, version, stateFolder, logger })
}

function nodeOf(runtime: Lazy<Runtime>): Node {
  return {
    imageStatus: async (image, options) => (await runtime.get()).cri.imageStatus(image, options),
  }
}
