import { abortable } from '../concurrency/abortable.ts'
import { type Clock, systemClock } from '../concurrency/clock.ts'
import { clientCame } from '../host/optimizer.ts'
import { listenOnSocket } from '../host/unix-socket.ts'
import { statusName } from '../runtime/status.ts'
import type { Aliases, CriVersion } from '../runtime/types.ts'
import { forcedVersion } from '../runtime/versions.ts'
import type { Metrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import type { RunningPulls } from '../telemetry/running-pulls.ts'
import { requestedImage, requestedPod, withImage } from './image-messages.ts'
import { ImageService, type ImageServiceOptions } from './image-service.ts'
import { methodName } from './methods.ts'
import type { OwnedMethod } from './owned-call.ts'
import { PullProgress } from './pull-progress.ts'
import { createRelay, type Grace } from './relay.ts'
import { type Answers, resolveImage } from './resolve-image.ts'
import { imageEdit } from './rewrite/images.ts'
import { createRewrite } from './rewrite/rewrite.ts'
import { versionsOn } from './version-bridge.ts'
import { edited } from './wire.ts'

/** For calls that arrived while others were drained. */
const LAST_CALLS_MS = 2_000
const VERSIONS: readonly CriVersion[] = ['v1', 'v1alpha2']
/** ImageStatusResponse.image */
const STATUS_IMAGE = 1

/** `timeoutMs` is also the limit of a call without a deadline. */
export interface CriServerOptions extends Omit<ImageServiceOptions, 'log' | 'clock'> {
  /** Our socket. */
  readonly path: string
  /** A listening descriptor of systemd; absent: one is made at `path`. */
  readonly fd?: number | undefined
  readonly runtimeSocket: string
  /** Opens the socket before the runtime has answered. */
  readonly force?: boolean
  /** The version of CRI spoken to the runtime; absent: the runtime is asked. */
  readonly version?: CriVersion | undefined
  readonly answers: Answers
  /** Absent: the runtime keeps all names itself. */
  readonly aliases?: Aliases | undefined
  /** Default: the system's. */
  readonly clock?: Clock
  readonly logger: Logger
  /** Counts calls and pulls; absent: nothing. */
  readonly metrics?: Pick<Metrics, 'calls' | 'pulls'> | undefined
  /** Where the pulls that run can be seen. */
  readonly running?: RunningPulls | undefined
  /** Ends the opening, which may wait for the runtime. */
  readonly signal?: AbortSignal
}

export interface CriServer {
  /** PullImage calls under way. */
  pullsInFlight(): number
  /** As in ListeningSocket. */
  unavailableReason(): string | undefined
  /**
   * Waits up to the grace for the calls under way, and serves everything but new pulls meanwhile; then
   * ends the rest and removes the socket, so that a successor can listen there.
   */
  close(options: Grace): Promise<void>
}

/**
 * The CRI socket: some calls are answered in this process, all others relayed to the runtime.
 *
 * @throws ResolveError as listenOnSocket; the signal's reason
 */
export async function openCriServer(options: CriServerOptions): Promise<CriServer> {
  const { aliases, logger, metrics, signal, version } = options
  const pulls = new PullProgress({ log: logger, counts: metrics?.pulls, running: options.running })
  const relay = createRelay({
    runtimeSocket: options.runtimeSocket,
    owned: ownedMethods(options, pulls),
    settle: (isPatient) => options.names.settle(isPatient),
    rewrite: aliases === undefined ? undefined : createRewrite(aliases, logger),
    versions: version === undefined ? versionsOn : () => forcedVersion(version),
    onCall: metrics === undefined ? undefined : countCalls(metrics.calls),
    logger,
  })
  // The first calls need the route; without `force` the runtime has answered already.
  const route = aliases?.route().catch(() => {})
  if (options.force !== true && route !== undefined) {
    await (signal === undefined ? route : abortable(route, signal))
  }
  const socket = await listenOnSocket({
    path: options.path,
    fd: options.fd,
    like: options.runtimeSocket,
    onConnection: (connection) => {
      clientCame()
      relay.accept(connection)
    },
    logger,
  })
  return {
    pullsInFlight: () => pulls.inFlight,
    unavailableReason: () => socket.unavailableReason(),
    async close(grace) {
      await relay.drain(grace)
      const graceMs = Math.min(grace.graceMs, LAST_CALLS_MS)
      // Connections outlive the listener, so both close at the same time.
      await Promise.all([relay.close({ graceMs }), socket.close()])
    },
  }
}

/** The calls that are answered here, by path. Messages stay bytes, so that unknown fields survive. */
function ownedMethods(
  options: CriServerOptions,
  pulls: PullProgress,
): Pick<ReadonlyMap<string, OwnedMethod>, 'get'> {
  const { aliases, answers, clock = systemClock, logger: log, names, timeoutMs: limitMs } = options
  const images = new ImageService({ ...options, clock, log })
  const methods = new Map<string, OwnedMethod>([resolveImage(answers, limitMs)])
  const statuses = new Map<string, OwnedMethod>()
  for (const version of VERSIONS) {
    const service = `/runtime.${version}.ImageService`
    methods.set(`${service}/PullImage`, {
      answer: async (request, caller) =>
        pulls.watch(requestedImage(request), requestedPod(request), (progress) =>
          images.pull(request, caller, version, progress),
        ),
    })
    methods.set(`${service}/RemoveImage`, {
      answer: (request, caller) => images.remove(request, caller),
      limitMs,
    })
    if (aliases !== undefined) {
      const answer = imageStatus(aliases, () => names.settle(false))
      statuses.set(`${service}/ImageStatus`, { answer, limitMs })
    }
  }
  // Before the runtime is known, names that were given earlier have to be found, too.
  const isAliased = (): boolean =>
    (aliases?.lastRoute() ?? (aliases?.isEmpty() === false ? 'aliases' : 'runtime')) === 'aliases'
  return {
    get: (path) => methods.get(path) ?? (isAliased() ? statuses.get(path) : undefined),
  }
}

/** ImageStatus in front of a runtime that does not keep the names of images: by ID for a known name. */
function imageStatus(
  aliases: Aliases,
  settle: () => Promise<void> | undefined,
): OwnedMethod['answer'] {
  return async (request, { metadata, deadline, signal }) => {
    const image = requestedImage(request)
    await settle()
    const located = await aliases.locate(image, { signal })
    if (located.kind === 'absent') return Buffer.alloc(0)
    const asked = located.kind === 'image' ? withImage(request, located.id) : request
    const options = { metadata, signal, ...(deadline !== undefined && { deadline }) }
    const response = await aliases.imageStatus(asked, options)
    if ((await aliases.route()) === 'runtime') return response
    return Buffer.from(edited(response, { [STATUS_IMAGE]: imageEdit(aliases) }))
  }
}

/** Counts calls as they end, by method and by the name of their gRPC code. */
export function countCalls(calls: Metrics['calls']): (path: string, code: number) => void {
  return (path, code) => calls.add(methodName(path), statusName(code))
}
