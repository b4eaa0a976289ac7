import type { ImageRecord } from '../../api/v1/images.ts'
import { Lazy } from '../concurrency/lazy.ts'
import type { Config, MirrorConfig } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import { defaultLimits, type Limits } from '../http/limits.ts'
import type { Readiness } from '../http/types.ts'
import type { ContentRequest } from '../registry/content.ts'
import type { ImageRequest } from '../registry/image.ts'
import type { TagsRequest } from '../registry/listing.ts'
import type { ManifestRequest } from '../registry/manifest-fetcher.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Core } from './core.ts'
import { descriptorLimit } from './descriptors.ts'
import type { OpenServer } from './listeners.ts'
import { meterRequests } from './metering.ts'
import type { NodeImages, NodeImagesOptions } from './node-images.ts'
import { RegistryAdmin } from './registry-admin.ts'
import { ServiceInfo } from './service-info.ts'

interface HttpServerOptions {
  /** Of now: some of it changes while the door is open. */
  readonly config: () => Config
  readonly core: Core
  readonly readiness: Readiness
  /** A listening socket that was handed down; undefined: the configured address. */
  readonly fd: number | undefined
  readonly logger: Logger
}

/**
 * The HTTP API, the page, and `/v2/` where the configuration asks for it.
 *
 * @throws ResolveError as listenHttp and buildApp
 */
export async function openHttpServer(options: HttpServerOptions): Promise<OpenServer> {
  const { config, core, fd, logger, readiness } = options
  const { http, mirror, shim, version } = config()
  const { buildApp } = await import('../http/app.ts')
  const { listenHttp, listenOnDescriptor } = await import('../http/listen.ts')
  const { pageRoutes } = await import('../http/routes/page.ts')
  const images = new LazyNodeImages({
    shim,
    version,
    runtimeSocket: core.runtimeSocket,
    whyClosed: async () => {
      const servers = await readiness.check()
      return servers.find(({ door, open }) => door === 'cri' && !open)?.reason
    },
  })
  const mirrorRoutes = mirror.enabled ? await openMirror(core, logger, mirror) : undefined
  const descriptors = await descriptorLimit()
  const app = buildApp({
    limits: connectionLimits(descriptors),
    answers: core.answers,
    readiness,
    images,
    registries: new RegistryAdmin({
      entries: () => config().registries,
      health: core.health,
      images: core.images,
      keychain: core.keychain,
    }),
    service: new ServiceInfo({
      config,
      cache: core.cache,
      health: core.health,
      metrics: core.metrics,
      uptimeMs: () => process.uptime() * 1_000,
    }),
    access: http,
    tls: http.tls,
    page: (scope) => pageRoutes(scope),
    ...(mirrorRoutes !== undefined && { mirror: mirrorRoutes }),
    logger,
  })
  const close = async (): Promise<void> => {
    await app.close()
    await images.close()
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
  const { placeOf } = await import('../http/access/place.ts')
  const { health, images, metrics, resolver, via } = core
  const metered = meterRequests(metrics, logger)
  const source = {
    open: async (request: ImageRequest, content: ContentRequest) =>
      (await images()).open(metered(request), content),
    head: async (request: ManifestRequest) => (await images()).head(metered(request)),
    tags: async (request: TagsRequest) => (await images()).tags(request),
  }
  return (app: Parameters<typeof mirrorRoutes>[0]): void => {
    // Runtimes bring no token to loopback, so that there all who come are strangers.
    const isOpen = (): boolean => placeOf(app.server.address()) === 'loopback'
    mirrorRoutes(app, {
      resolver: {
        candidates: (reference) => resolver.candidates(reference),
        credentials: (candidate) => resolver.credentials(candidate, isOpen()),
        get probeBudgetMs() {
          return resolver.probeBudgetMs
        },
        resolve: (reference, asked) =>
          resolver.resolve(reference, { ...asked, stranger: isOpen() }),
      },
      source,
      health,
      logger,
      via,
      limits: { blobs, blobsPerClient },
    })
  }
}

interface LazyNodeImagesOptions extends NodeImagesOptions {
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
}

/** The images of this node for a door that may be open long before anybody asks for them, or for ever. */
class LazyNodeImages {
  readonly #images: Lazy<NodeImages>
  readonly #runtimeSocket: () => string | undefined

  constructor({ runtimeSocket, ...options }: LazyNodeImagesOptions) {
    this.#runtimeSocket = runtimeSocket
    this.#images = new Lazy(async () => {
      const { NodeImages } = await import('./node-images.ts')
      return new NodeImages(options)
    })
  }

  /** @throws ResolveError UNAVAILABLE where there is no runtime */
  async check(): Promise<void> {
    if (this.#runtimeSocket() !== undefined) return
    const hint = 'start one, or set cri: to its socket'
    throw new ResolveError('UNAVAILABLE', `there is no CRI runtime on this machine; ${hint}`)
  }

  async list(signal: AbortSignal): Promise<readonly ImageRecord[]> {
    return (await this.#open()).list(signal)
  }

  async status(image: string, signal: AbortSignal): Promise<ImageRecord | undefined> {
    return (await this.#open()).status(image, signal)
  }

  async remove(image: string, signal: AbortSignal): Promise<void> {
    return (await this.#open()).remove(image, signal)
  }

  async pull(reference: string, signal: AbortSignal): Promise<string> {
    return (await this.#open()).pull(reference, signal)
  }

  close(): Promise<void> {
    return this.#images.close()
  }

  async #open(): Promise<NodeImages> {
    await this.check()
    return this.#images.get()
  }
}
