import { status } from '@grpc/grpc-js'
import { type Clock, systemClock } from '../concurrency/clock.ts'
import { listenOnSocket } from '../host/unix-socket.ts'
import { fromAuthConfig } from '../registry/credentials.ts'
import type { ContentStore } from '../runtime/content.ts'
import { loadService } from '../runtime/protos.ts'
import type { Aliases, CriVersion, ImageNames } from '../runtime/types.ts'
import { forcedVersion } from '../runtime/versions.ts'
import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { countCalls } from './call-counter.ts'
import { requestedImage } from './image-messages.ts'
import { type ImageResolver, type ImageRuntime, ImageService } from './image-service.ts'
import { ImageStatusService } from './image-status.ts'
import type { Caller, OwnedMethod } from './owned-call.ts'
import { PullProgress } from './pull-progress.ts'
import { createRelay, type Grace } from './relay.ts'
import { type Answers, type ResolveImageRequest, ResolveService } from './resolve-service.ts'
import { createRewrite } from './rewrite/rewrite.ts'
import { GrpcError } from './status.ts'
import { versionsOn } from './version-bridge.ts'

/** For calls that came while others were drained. */
const LAST_CALLS_MS = 2_000
const VERSIONS: readonly CriVersion[] = ['v1', 'v1alpha2']
const IMAGE_STATUS = /^\/runtime\.v1(?:alpha2)?\.ImageService\/ImageStatus$/

export interface CriServerOptions {
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
  readonly metrics?: Pick<Metrics, 'calls' | 'pulls'> | undefined
}

export interface CriServer {
  /** PullImage calls under way. */
  pullsInFlight(): number
  /** As in ListeningSocket. */
  unavailableReason(): string | undefined
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
export async function openCriServer(options: CriServerOptions): Promise<CriServer> {
  const { aliases, logger, metrics, version } = options
  const pulls = new PullProgress({ log: logger, counts: metrics?.pulls })
  const relay = createRelay({
    runtimeSocket: options.runtimeSocket,
    owned: ownedMethods(options, pulls),
    settle: (isUp) => options.names.settle(isUp),
    rewrite: aliases === undefined ? undefined : createRewrite(aliases, logger),
    versions: version === undefined ? versionsOn : () => forcedVersion(version),
    onCall: metrics === undefined ? undefined : countCalls(metrics.calls),
    logger,
  })
  // So that the very first calls are relayed as they should be; a silent runtime is found out later.
  const route = aliases?.route().catch(() => {})
  if (options.force !== true) await route
  const socket = await listenOnSocket({
    path: options.path,
    fd: options.fd,
    like: options.runtimeSocket,
    onConnection: (connection) => relay.accept(connection),
    logger,
  })
  return {
    pullsInFlight: () => pulls.inFlight,
    unavailableReason: () => socket.unavailableReason(),
    async close(grace) {
      // Until here everything but new pulls is served, and new connections are taken.
      await relay.drain(grace)
      const graceMs = Math.min(grace.graceMs, LAST_CALLS_MS)
      // Connections that exist outlive the listener's end, so these two go side by side.
      await Promise.all([relay.close({ graceMs }), socket.close()])
    },
  }
}

/** What is answered here at this moment, by path; messages stay bytes, unknown fields and all. */
function ownedMethods(
  options: CriServerOptions,
  pulls: PullProgress,
): Pick<ReadonlyMap<string, OwnedMethod>, 'get'> {
  const { aliases, clock = systemClock, logger: log, names, timeoutMs: limitMs } = options
  const images = new ImageService({ ...options, clock, credentialsFor: fromAuthConfig, log })
  const methods = new Map<string, OwnedMethod>([resolveImage(options)])
  for (const version of VERSIONS) {
    methods.set(`/runtime.${version}.ImageService/PullImage`, {
      answer: async (request, caller) =>
        pulls.watch(requestedImage(request), (passOn) =>
          images.pull(request, caller, version, passOn),
        ),
    })
    methods.set(`/runtime.${version}.ImageService/RemoveImage`, {
      answer: (request, caller) => images.remove(request, caller),
      limitMs,
    })
  }
  if (aliases === undefined) return methods
  const statuses = new ImageStatusService(aliases, () => names.settle(false))
  const imageStatus: OwnedMethod = {
    answer: (request, caller) => statuses.status(request, caller),
    limitMs,
  }
  // While nobody knows what runs below, names that were given must be found all the same.
  const isAliased = (): boolean =>
    (aliases.lastRoute() ?? (aliases.isEmpty() ? 'runtime' : 'aliases')) === 'aliases'
  const ofStatus = (path: string): OwnedMethod | undefined =>
    IMAGE_STATUS.test(path) && isAliased() ? imageStatus : undefined
  return { get: (path) => methods.get(path) ?? ofStatus(path) }
}

function resolveImage({
  answers,
  timeoutMs: limitMs,
}: CriServerOptions): readonly [string, OwnedMethod] {
  const service = new ResolveService({ answers, credentialsFor: fromAuthConfig })
  const { ResolveImage: method } = loadService(
    'imageresolver/v1/imageresolver.proto',
    'imageresolver.v1.ImageResolver',
  )
  if (method === undefined) throw new Error('the service has no ResolveImage')
  const read = (request: Buffer): ResolveImageRequest => {
    try {
      return method.requestDeserialize(request) as ResolveImageRequest
    } catch (cause) {
      throw new GrpcError(
        { code: status.INTERNAL, details: 'Error deserializing request' },
        { cause },
      )
    }
  }
  const answer = async (request: Buffer, caller: Caller): Promise<Buffer> =>
    method.responseSerialize(await service.resolve(read(request), caller))
  return [method.path, { answer, limitMs }]
}
