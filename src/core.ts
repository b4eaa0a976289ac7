import type { Config } from './config/config.ts'
import { socketExists } from './config/files.ts'
import { detectRuntime } from './config/socket.ts'
import { ResolveError } from './errors.ts'
import { hostPlatform } from './reference/platform.ts'
import { Breaker } from './registry/breaker.ts'
import { credentialsFingerprint } from './registry/keychain.ts'
import { ConfiguredRegistries } from './registry/registries.ts'
import { Answers, type Node } from './resolver/answers.ts'
import { ResolutionCache } from './resolver/cache.ts'
import { systemClock } from './resolver/clock.ts'
import { Resolver } from './resolver/resolver.ts'
import type { Runtime } from './runtime/runtime.ts'
import type { Logger } from './telemetry/logger.ts'

const LIMITS = {
  /** Long enough for a healthy registry far away, short enough that nobody waits for a sick one. */
  hedgeDelayMs: 300,
  probeBudgetMs: 2_000,
  /** A kubelet waits two minutes for most calls; a person at a terminal less. */
  totalMs: 20_000,
}

/** Everything that answers, put together from a configuration; the doors are built around it. */
export interface Core {
  readonly resolver: Resolver
  readonly answers: Answers
  /** The runtime's socket: as configured, else the first known one that is there by now. */
  runtimeSocket(): string | undefined
  /**
   * Loaded and opened at the first call.
   *
   * @throws ResolveError UNAVAILABLE while none is configured or found
   */
  runtime(): Promise<Runtime>
  /** Takes over the registries; what was cached under the old ones is not found any more. */
  reconfigure(config: Config): void
  close(): Promise<void>
}

/** @param detect finds a runtime's socket where the configuration names none */
export function createCore(
  config: Config,
  logger: Logger,
  detect: () => string | undefined = () => detectRuntime(socketExists),
): Core {
  const platform = hostPlatform()
  const images = new Late(openImages)
  const { imageCacheSize, imageCacheTtlMs, tagTtlMs } = config.cache
  const cache = new ResolutionCache(
    {
      size: imageCacheSize,
      tagTtlMs: Math.min(tagTtlMs, imageCacheTtlMs),
      keepMs: imageCacheTtlMs,
    },
    systemClock.now,
  )
  let registries = new ConfiguredRegistries(config.registries, 1)
  const resolver = new Resolver({
    source: {
      image: async (request, wanted) => (await images.get()).image(request, wanted),
      digest: async (request) => (await images.get()).digest(request),
    },
    registries: () => registries,
    health: new Breaker({ now: systemClock.now }),
    cache,
    clock: systemClock,
    platform,
    limits: LIMITS,
    fingerprint: credentialsFingerprint,
  })
  // On a node that boots, the runtime's socket may be made after us.
  const runtimeSocket = (): string | undefined => config.cri ?? detect()
  const runtime = new Late(() => openNode(runtimeSocket(), config.version, logger))
  const answers = new Answers({
    resolver,
    node: nodeOf(runtime),
    platform,
    now: systemClock.now,
  })
  return {
    resolver,
    answers,
    runtimeSocket,
    runtime: () => runtime.get(),
    reconfigure(next) {
      registries = new ConfiguredRegistries(next.registries, registries.generation + 1)
    },
    async close() {
      await runtime.close()
      await images.close()
    },
  }
}

/**
 * Opened at its first use that succeeds, and closed only if that ever came. The libraries that speak to
 * registries and runtimes take as long to load as everything else, and HTTP need not wait for them.
 */
class Late<T extends { close(): unknown }> {
  readonly #open: () => Promise<T>
  #opened: Promise<T> | undefined

  constructor(open: () => Promise<T>) {
    this.#open = open
  }

  get(): Promise<T> {
    if (this.#opened !== undefined) return this.#opened
    const opened = this.#open()
    this.#opened = opened
    opened.catch(() => {
      this.#opened = undefined
    })
    return opened
  }

  async close(): Promise<void> {
    await (await this.#opened)?.close()
  }
}

async function openImages() {
  const { RegistryImages } = await import('./registry/image-source.ts')
  return new RegistryImages()
}

async function openNode(
  path: string | undefined,
  version: Config['version'],
  logger: Logger,
): Promise<Runtime> {
  if (path === undefined) {
    const hint = 'start one, or set cri: to its socket'
    throw new ResolveError('UNAVAILABLE', `there is no CRI runtime on this machine; ${hint}`)
  }
  const { openRuntime } = await import('./runtime/runtime.ts')
  return openRuntime({ path, version, logger })
}

function nodeOf(runtime: Late<Runtime>): Node {
  return {
    imageStatus: async (image, options) => (await runtime.get()).cri.imageStatus(image, options),
  }
}
