import { systemClock } from '../concurrency/clock.ts'
import { Lazy } from '../concurrency/lazy.ts'
import type { MirrorConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { descriptorLimit } from '../host/descriptors.ts'
import { buildApp } from '../http/app.ts'
import { HTTP_LIMITS, type Limits } from '../http/limits.ts'
import { listenHttp, listenOnDescriptor } from '../http/listen.ts'
import { RegistryAdmin } from '../http/registry-admin.ts'
import { pageRoutes } from '../http/routes/page.ts'
import { ServiceInfo } from '../http/service-info.ts'
import type { Readiness } from '../http/types.ts'
import type { ContentRequest } from '../registry/content.ts'
import type { ImageRequest } from '../registry/image.ts'
import type { TagsRequest } from '../registry/listing.ts'
import type { ManifestRequest } from '../registry/manifest-fetcher.ts'
import { StatsHistory } from '../telemetry/history.ts'
import type { Logger } from '../telemetry/log.ts'
import { type Core, requireSocket } from './core.ts'
import type { ServerOptions } from './cri-server.ts'
import type { ImageChecks } from './image-checks.ts'
import { type OpenServer, whyClosed } from './listeners.ts'

/** A store that could not be told has been tried for 3 s. */
const EVENT_RETRY_MS = 5_000

/**
 * The HTTP API, the page, and `/v2/` where the configuration asks for it.
 *
 * @throws ResolveError as listenHttp and buildApp
 */
export async function startHttp(
  options: ServerOptions & {
    readonly readiness: Readiness
    /** Undefined, or absent: the images in use are not checked. */
    readonly checks?: Promise<ImageChecks | undefined>
  },
): Promise<OpenServer> {
  const { config, core, fd, logger, readiness } = options
  const { admission, http, mirror, shim, version } = config()
  const checks = await options.checks
  // Loaded by the first request for images.
  const node = new Lazy(async () => {
    const { NodeImages } = await import('../runtime/node-images.ts')
    return new NodeImages({
      shim,
      version,
      whyClosed: () => whyClosed(readiness, 'cri'),
    })
  })
  const mirrorRoutes = mirror.enabled ? await openMirror(core, logger, mirror) : undefined
  const descriptors = await descriptorLimit()
  const history = new StatsHistory({
    resolutions: core.metrics.resolutions,
    registries: () =>
      config().registries.map(({ name }) => ({ name, ...core.health.report(name) })),
    clock: systemClock,
  })
  history.start()
  const app = buildApp({
    limits: connectionLimits(descriptors),
    answers: core.answers,
    readiness,
    node: async () => {
      requireSocket(core.runtimeSocket())
      return node.get()
    },
    pulls: core.pulls,
    registries: new RegistryAdmin({
      entries: () => config().registries,
      health: core.health,
      images: core.images,
      keychain: core.keychain,
    }),
    check: () => checks?.report() ?? { enabled: false, checkedAt: null, images: [] },
    service: new ServiceInfo({
      config,
      cache: core.cache,
      health: core.health,
      metrics: core.metrics,
      history,
      imagesInUse: () => checks?.counts(),
      uptimeMs: () => process.uptime() * 1_000,
    }),
    ...(admission.enabled && {
      admission: {
        budgetMs: admission.budgetMs,
        rejects: admission.onFailure === 'reject',
      },
    }),
    ...(http.events && {
      onEvent: async ({ format, changes }) => {
        const expired = core.resolver.expire(changes)
        const outcome = changes.length === 0 ? 'no_change' : expired > 0 ? 'expired' : 'not_cached'
        core.metrics.registryEvents.add(format, outcome)
        logger.debug({ format, changes, expired }, 'a registry says that tags changed')
        if (await core.shared.expire(changes)) return expired
        const message = 'the shared store could not be told yet: send the notification again'
        throw new ResolveError('UNAVAILABLE', message, { retryAfterMs: EVENT_RETRY_MS })
      },
    }),
    via: core.via,
    access: http,
    tls: http.tls,
    page: (scope) => pageRoutes(scope),
    ...(mirrorRoutes !== undefined && { mirror: mirrorRoutes }),
    logger,
  })
  const close = async (): Promise<void> => {
    history.close()
    await app.close()
    await node.close()
  }
  try {
    const address =
      fd === undefined ? await listenHttp(app, http.listen) : await listenOnDescriptor(app, fd)
    logger.info({ address }, 'HTTP is served')
    return { close }
  } catch (error) {
    await close()
    throw error
  }
}

/** The CRI socket and the registries need descriptors too: at most a quarter of them is for HTTP. */
function connectionLimits(descriptors: number): Partial<Limits> {
  const maxConnections = Math.min(HTTP_LIMITS.maxConnections, Math.floor(descriptors / 4))
  const maxConnectionsPerClient = Math.ceil(maxConnections / 2)
  const reservedConnections = Math.min(HTTP_LIMITS.reservedConnections, maxConnectionsPerClient)
  return { maxConnections, maxConnectionsPerClient, reservedConnections }
}

async function openMirror(core: Core, logger: Logger, { blobs, blobsPerClient }: MirrorConfig) {
  const { mirrorRoutes } = await import('../http/mirror/routes.ts')
  const { exposureOf } = await import('../http/access/guard.ts')
  const { health, images, metered, resolver, via } = core
  const source = {
    open: async (request: ImageRequest, content: ContentRequest) =>
      (await images()).open(metered(request), content),
    head: async (request: ManifestRequest) => (await images()).head(metered(request)),
    tags: async (request: TagsRequest) => (await images()).tags(request),
  }
  return (app: Parameters<typeof mirrorRoutes>[0]): void => {
    // Runtimes send no token to loopback: all callers there are unauthenticated.
    const isOpen = (): boolean => exposureOf(app.server.address()) === 'loopback'
    mirrorRoutes(app, {
      resolver: {
        candidates: (reference) => resolver.candidates(reference),
        credentials: (candidate) => resolver.credentials(candidate, isOpen()),
        get probeBudgetMs() {
          return resolver.probeBudgetMs
        },
        resolve: (reference, asked) =>
          resolver.resolve(reference, { ...asked, unauthenticated: isOpen() }),
      },
      source,
      health,
      logger,
      via,
      limits: { blobs, blobsPerClient },
    })
  }
}
