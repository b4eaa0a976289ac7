import { Server, type ServiceDefinition } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../concurrency/clock.ts'
import { fromAuthConfig } from '../registry/auth-config.ts'
import type { ContentStore } from '../runtime/content.ts'
import { loadService } from '../runtime/protos.ts'
import type { Aliases, CriVersion, ImageNames } from '../runtime/types.ts'
import { forcedVersion } from '../runtime/versions.ts'
import { type ListeningSocket, listenOnSocket } from '../socket.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Meters } from '../telemetry/meters.ts'
import { countCalls } from './call-meter.ts'
import { requestedImage } from './image-messages.ts'
import { type ImageResolver, type ImageRuntime, ImageService } from './image-service.ts'
import { ImageStatusService } from './image-status.ts'
import { connectInProcess } from './in-process.ts'
import { PullProgress } from './pull-progress.ts'
import { createRelay, type Grace } from './relay.ts'
import { type Answers, type ResolveImageRequest, ResolveService } from './resolve-service.ts'
import { createRewrite } from './rewrite.ts'
import { type UnaryOptions, unary } from './unary.ts'
import { versionsOn } from './version-bridge.ts'

/** What every gRPC server takes by default; a kubelet's PullImage with all its annotations has a tenth. */
const REQUEST_BYTES = 4 * 1024 * 1024
const ANSWER_BYTES = 16 * 1024 * 1024
/** For calls that came while others were drained. */
const LAST_CALLS_MS = 2_000
const VERSIONS: readonly CriVersion[] = ['v1', 'v1alpha2']

export interface CriDoorOptions {
  /** Our socket. */
  readonly path: string
  /** A descriptor that listens already, handed down by systemd; absent: one is made at `path`. */
  readonly fd?: number | undefined
  readonly runtimeSocket: string
  /** Opens the socket before the runtime has answered. */
  readonly force?: boolean
  /** The version of CRI spoken to the runtime; absent: found out. */
  readonly version?: CriVersion | undefined
  readonly resolver: ImageResolver
  readonly answers: Answers
  readonly runtime: ImageRuntime
  readonly names: ImageNames
  /** Absent: the runtime keeps all names itself. */
  readonly aliases?: Aliases | undefined
  readonly onResolveError: () => 'passthrough' | 'reject'
  /** As in ImageServiceOptions. */
  readonly byDigest?: (() => boolean) | undefined
  /** As in ImagePullOptions. */
  readonly content?: ContentStore | undefined
  /** Limit of one call that brings no deadline of its own; of a pull as in ImagePullOptions. */
  readonly timeoutMs: number
  /** Default: the system's. */
  readonly clock?: Clock
  readonly logger: Logger
  /** Where calls and pulls are counted; absent: nowhere. */
  readonly meters?: Pick<Meters, 'calls' | 'pulls'> | undefined
}

export interface CriDoor {
  /** PullImage calls under way. */
  pullsInFlight(): number
  /** As in ListeningSocket. */
  obstacle(): string | undefined
  /**
   * Gives the calls under way so long to finish, and serves all but new pulls meanwhile; then ends what
   * is left and removes the socket, for a successor to listen at.
   */
  close(options: Grace): Promise<void>
}

/**
 * The CRI socket: our own calls are answered in this process, all others relayed to the runtime.
 *
 * @throws ResolveError as listenOnSocket
 */
export async function openCriDoor(options: CriDoorOptions): Promise<CriDoor> {
  const { aliases, logger, meters, version } = options
  const pulls = new PullProgress({ log: logger, counts: meters?.pulls })
  const server = new Server({
    'grpc.max_receive_message_length': REQUEST_BYTES,
    'grpc.max_send_message_length': ANSWER_BYTES,
  })
  const owned = addServices(server, options, pulls)
  const relay = createRelay({
    runtimeSocket: options.runtimeSocket,
    owned,
    ownedConnect: connectInProcess(server),
    settle: (isUp) => options.names.settle(isUp),
    rewrite: aliases === undefined ? undefined : createRewrite(aliases, logger),
    versions: version === undefined ? versionsOn : () => forcedVersion(version),
    onCall: meters === undefined ? undefined : countCalls(meters.calls),
    logger,
  })
  // So that the very first calls are relayed as they should be; a silent runtime is found out later.
  const route = aliases?.route().catch(() => {})
  if (options.force !== true) await route
  let socket: ListeningSocket
  try {
    socket = await listenOnSocket({
      path: options.path,
      fd: options.fd,
      like: options.runtimeSocket,
      onConnection: (connection) => relay.accept(connection),
      logger,
    })
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  return {
    pullsInFlight: () => pulls.inFlight,
    obstacle: () => socket.obstacle(),
    async close(grace) {
      // Until here everything but new pulls is served, and new connections are taken.
      await relay.drain(grace)
      const graceMs = Math.min(grace.graceMs, LAST_CALLS_MS)
      // Connections that exist outlive the listener's end, so these two go side by side.
      await Promise.all([relay.close({ graceMs }), socket.close()])
      server.forceShutdown()
    },
  }
}

/** @returns the paths that are answered here, at this moment */
function addServices(
  server: Server,
  options: CriDoorOptions,
  pulls: PullProgress,
): Pick<ReadonlySet<string>, 'has'> {
  const { aliases, answers, logger: log } = options
  const limits = { limitMs: options.timeoutMs, log }
  const { clock = systemClock } = options
  const images = new ImageService({ ...options, clock, credentialsFor: fromAuthConfig, log })
  const resolves = new ResolveService({ answers, credentialsFor: fromAuthConfig })
  const paths: string[] = []
  for (const version of VERSIONS) {
    const definition = imageServiceDefinition(version)
    server.addService(definition, {
      pullImage: unary<Buffer, Buffer>(
        async (r, caller) =>
          pulls.watch(requestedImage(r), (passOn) => images.pull(r, caller, version, passOn)),
        { log },
      ),
      removeImage: unary<Buffer, Buffer>((r, caller) => images.remove(r, caller), limits),
    })
    paths.push(...Object.values(definition).map(({ path }) => path))
  }
  const resolverDefinition = loadService(
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
  )
  server.addService(resolverDefinition, {
    resolveImage: unary<ResolveImageRequest, object>(
      (request, caller) => resolves.resolve(request, caller),
      limits,
    ),
  })
  paths.push(...Object.values(resolverDefinition).map(({ path }) => path))
  const owned = new Set(paths)
  const ofAliases =
    aliases === undefined ? undefined : addImageStatus(server, aliases, options.names, limits)
  return { has: (path) => owned.has(path) || (ofAliases?.has(path) ?? false) }
}

/** Answered here only in front of a runtime that does not keep the names of images. */
function addImageStatus(
  server: Server,
  aliases: Aliases,
  names: ImageNames,
  limits: UnaryOptions,
): Pick<ReadonlySet<string>, 'has'> {
  const statuses = new ImageStatusService(aliases, () => names.settle(false))
  const definitions = VERSIONS.map((version) => ({
    imageStatus: rawMethod(`/runtime.${version}.ImageService/ImageStatus`),
  }))
  for (const definition of definitions) {
    server.addService(definition, {
      imageStatus: unary<Buffer, Buffer>((r, caller) => statuses.status(r, caller), limits),
    })
  }
  const paths = new Set<string>(definitions.map(({ imageStatus }) => imageStatus.path))
  // While nobody knows what runs below, names that were given must be found all the same.
  const isNeeded = (): boolean =>
    (aliases.lastRoute() ?? (aliases.isEmpty() ? 'runtime' : 'aliases')) === 'aliases'
  return { has: (path) => paths.has(path) && isNeeded() }
}

/** Messages stay bytes: what we do not know in them must reach the runtime unchanged. */
function imageServiceDefinition(version: CriVersion): ServiceDefinition {
  return {
    pullImage: rawMethod(`/runtime.${version}.ImageService/PullImage`),
    removeImage: rawMethod(`/runtime.${version}.ImageService/RemoveImage`),
  }
}

function rawMethod(path: string): ServiceDefinition[string] {
  const same = (bytes: Buffer): Buffer => bytes
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  }
}
