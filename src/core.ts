import type { Config } from './config/config.ts'
import { hostPlatform } from './reference/platform.ts'
import { Breaker } from './registry/breaker.ts'
import { RegistryImages } from './registry/image-source.ts'
import { credentialsFingerprint } from './registry/keychain.ts'
import { ConfiguredRegistries } from './registry/registries.ts'
import { Answers } from './resolver/answers.ts'
import { ResolutionCache } from './resolver/cache.ts'
import { systemClock } from './resolver/clock.ts'
import { Resolver } from './resolver/resolver.ts'
import { openRuntimeChannel, type RuntimeChannel } from './runtime/channel.ts'
import { createContainerdNames } from './runtime/containerd-names.ts'
import { type CriClient, createCriClient } from './runtime/cri-client.ts'
import { createNameTable } from './runtime/name-table.ts'
import type { ImageNames } from './runtime/types.ts'
import type { Logger } from './telemetry/logger.ts'

const LIMITS = {
  /** Long enough for a healthy registry far away, short enough that nobody waits for a sick one. */
  hedgeDelayMs: 300,
  probeBudgetMs: 2_000,
  /** A kubelet waits two minutes for most calls; a person at a terminal less. */
  totalMs: 20_000,
}

export interface NodeRuntime {
  readonly channel: RuntimeChannel
  readonly cri: CriClient
  readonly names: ImageNames
}

/** Everything that answers, put together from a configuration; the doors are built around it. */
export interface Core {
  readonly resolver: Resolver
  readonly answers: Answers
  /** Absent where no runtime is configured or found. */
  readonly runtime: NodeRuntime | undefined
  /** Takes over the registries; what was cached under the old ones is not found any more. */
  reconfigure(config: Config): void
  close(): Promise<void>
}

export function createCore(config: Config, logger: Logger): Core {
  const platform = hostPlatform()
  const source = new RegistryImages()
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
    source,
    registries: () => registries,
    health: new Breaker({ now: systemClock.now }),
    cache,
    clock: systemClock,
    platform,
    limits: LIMITS,
    fingerprint: credentialsFingerprint,
  })
  const runtime = config.cri === undefined ? undefined : openRuntime(config.cri, config, logger)
  const answers = new Answers({
    resolver,
    ...(runtime === undefined ? {} : { node: runtime.cri }),
    platform,
    now: systemClock.now,
  })
  return {
    resolver,
    answers,
    runtime,
    reconfigure(next) {
      registries = new ConfiguredRegistries(next.registries, registries.generation + 1)
    },
    async close() {
      runtime?.channel.close()
      await source.close()
    },
  }
}

function openRuntime(socketPath: string, config: Config, logger: Logger): NodeRuntime {
  const channel = openRuntimeChannel(socketPath)
  const cri = createCriClient(channel, config.version)
  const names = createContainerdNames({
    table: createNameTable(channel),
    imageStatus: (image) => cri.imageStatus(image),
    onLost: (listener) => channel.onLost(listener),
    log: logger,
  })
  return { channel, cri, names }
}
