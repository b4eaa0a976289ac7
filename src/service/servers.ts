import { access, constants } from 'node:fs/promises'
import { systemClock } from '../concurrency/clock.ts'
import { Lazy } from '../concurrency/lazy.ts'
import type { Config, MirrorConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { descriptorLimit } from '../host/descriptors.ts'
import { defaultLimits, type Limits } from '../http/limits.ts'
import { RegistryAdmin } from '../http/registry-admin.ts'
import { ServiceInfo } from '../http/service-info.ts'
import type { Readiness } from '../http/types.ts'
import type { ContentRequest } from '../registry/content.ts'
import type { ImageRequest } from '../registry/image.ts'
import type { TagsRequest } from '../registry/listing.ts'
import type { ManifestRequest } from '../registry/manifest-fetcher.ts'
import type { RuntimeError } from '../runtime/call.ts'
import type { CriVersion } from '../runtime/types.ts'
import { StatsHistory } from '../telemetry/history.ts'
import type { Logger } from '../telemetry/log.ts'
import { type Core, requireSocket } from './core.ts'
import type { ImageChecks } from './image-checks.ts'
import { type OpenServer, whyClosed } from './listeners.ts'

/** How long calls under way may take when the service ends; the unit kills after 90 s. */
const GRACE = { graceMs: 10_000, pullGraceMs: 60_000 }

/** A store that could not be told has been tried for 3 s. */
const EVENT_RETRY_MS = 5_000

interface ServerOptions {
  /** Of now: some of it changes while the server is open. */
  readonly config: () => Config
  readonly core: Core
  /** A listening socket that was handed down; undefined: the configured path or address. */
  readonly fd: number | undefined
  readonly logger: Logger
}

/**
 * Our CRI socket, in front of the runtime's. With `force` it is opened before the runtime answers.
 *
 * @throws ResolveError UNAVAILABLE while there is no runtime, DENIED without the right to its socket;
 * and as listenOnSocket
 */
export async function openCriServer({
  config,
  core,
  fd,
  logger,
}: ServerOptions): Promise<OpenServer> {
  const runtime = await core.runtime()
  const { force, shim: path, timeoutMs, version } = config()
  const failure = force ? undefined : await runtime.cri.failure()
  if (failure !== undefined) throw await absence(runtime.path, failure, version)
  const cri = await import('../cri/server.ts')
  const server = await cri.openCriServer({
    path,
    fd,
    runtimeSocket: runtime.path,
    force,
    version,
    resolver: core.resolver,
    answers: core.answers,
    runtime: runtime.cri,
    names: runtime.names,
    aliases: runtime.aliases,
    content: runtime.content,
    byDigest: () => config().pull.byDigest,
    skipUnchanged: () => config().pull.skipUnchanged,
    onResolveError: () => config().onResolveError,
    timeoutMs,
    logger,
    metrics: core.metrics,
    running: core.pulls,
  })
  logger.info({ shim: path, cri: runtime.path }, 'CRI is served')
  return { unavailableReason: () => server.unavailableReason(), close: () => server.close(GRACE) }
}

/** Why a runtime cannot be used: no right to its socket, no answer, or the text of its answer. */
async function absence(
  socket: string,
  failure: RuntimeError,
  version: CriVersion | undefined,
): Promise<ResolveError> {
  try {
    await access(socket, constants.R_OK | constants.W_OK)
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    if (code === 'EACCES' || code === 'EPERM') {
      const how = 'run as root, or as a member of its group'
      return new ResolveError('DENIED', `no right to use the runtime's socket ${socket}: ${how}`)
    }
  }
  const { answered } = await import('../runtime/call.ts')
  const said = answered(failure, version) ?? 'does not answer yet'
  return new ResolveError('UNAVAILABLE', `the runtime at ${socket} ${said}`)
}

/**
 * The HTTP API, the page, and `/v2/` where the configuration asks for it.
 *
 * @throws ResolveError as listenHttp and buildApp
 */
export async function openHttpServer(
  options: ServerOptions & {
    readonly readiness: Readiness
    /** Absent: the images in use are not checked. */
    readonly checks?: Promise<ImageChecks> | undefined
  },
): Promise<OpenServer> {
  const { config, core, fd, logger, readiness } = options
  const { admission, http, mirror, shim, version } = config()
  const checks = await options.checks
  const { buildApp } = await import('../http/app.ts')
  const { listenHttp, listenOnDescriptor } = await import('../http/listen.ts')
  const { pageRoutes } = await import('../http/routes/page.ts')
  // Loaded by the first request for images.
  const node = new Lazy(async () => {
    const { NodeImages } = await import('../runtime/node-images.ts')
    return new NodeImages({
      shim,
      version,
      whyClosed: () => whyClosed(readiness, 'cri'),
    })
  })
  const check = async (): Promise<void> => void requireSocket(core.runtimeSocket())
  const checked = async () => {
    await check()
    return node.get()
  }
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
    images: {
      check,
      list: async (signal) => (await checked()).list(signal),
      status: async (image, signal) => (await checked()).status(image, signal),
      remove: async (image, signal) => (await checked()).remove(image, signal),
      pull: async (reference, signal) => (await checked()).pull(reference, signal),
      pulls: () => core.pulls.list(),
      layersOf: (reference) => core.pulls.layersOf(reference),
    },
    registries: new RegistryAdmin({
      entries: () => config().registries,
      health: core.health,
      images: core.images,
      keychain: core.keychain,
    }),
    check: { report: () => checks?.report() ?? { enabled: false, checkedAt: null, images: [] } },
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
  const maxConnections = Math.min(defaultLimits.maxConnections, Math.floor(descriptors / 4))
  const maxConnectionsPerClient = Math.ceil(maxConnections / 2)
  const reservedConnections = Math.min(defaultLimits.reservedConnections, maxConnectionsPerClient)
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
