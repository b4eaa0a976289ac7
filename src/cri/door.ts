import { Server, type ServiceDefinition } from '@grpc/grpc-js'
import { fromAuthConfig } from '../registry/keychain.ts'
import { loadService } from '../runtime/protos.ts'
import type { CriVersion, ImageNames } from '../runtime/types.ts'
import { type ListeningSocket, listenOnSocket } from '../socket.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type ImageResolver, type ImageRuntime, ImageService } from './image-service.ts'
import { connectInProcess } from './in-process.ts'
import { createRelay } from './relay.ts'
import { type Answers, type ResolveImageRequest, ResolveService } from './resolve-service.ts'
import { unary } from './unary.ts'

const MESSAGE_BYTES = 16 * 1024 * 1024
const VERSIONS: readonly CriVersion[] = ['v1', 'v1alpha2']

export interface CriDoorOptions {
  /** Our socket. */
  readonly path: string
  readonly runtimeSocket: string
  readonly resolver: ImageResolver
  readonly answers: Answers
  readonly runtime: ImageRuntime
  readonly names: ImageNames
  readonly onResolveError: () => 'passthrough' | 'reject'
  /** Limit of one call that brings no deadline of its own. */
  readonly timeoutMs: number
  readonly logger: Logger
}

export interface CriDoor {
  /** Takes no new calls, gives those under way so long to finish, ends the rest, removes the socket. */
  close(options: { readonly graceMs: number }): Promise<void>
}

/**
 * The CRI socket: our own calls are answered in this process, all others relayed to the runtime.
 *
 * @throws ResolveError as listenOnSocket
 */
export async function openCriDoor(options: CriDoorOptions): Promise<CriDoor> {
  const { logger } = options
  const server = new Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
  })
  const owned = addServices(server, options)
  const relay = createRelay({
    runtimeSocket: options.runtimeSocket,
    owned,
    ownedConnect: connectInProcess(server),
    logger,
  })
  let socket: ListeningSocket
  try {
    socket = await listenOnSocket({
      path: options.path,
      like: options.runtimeSocket,
      onConnection: (connection) => relay.accept(connection),
      logger,
    })
  } catch (error) {
    server.forceShutdown()
    throw error
  }
  return {
    async close({ graceMs }) {
      // Connections that exist outlive the listener's end, so these two go side by side.
      await Promise.all([relay.close({ graceMs }), socket.close()])
      server.forceShutdown()
    },
  }
}

/** @returns the paths that are answered here */
function addServices(server: Server, options: CriDoorOptions): ReadonlySet<string> {
  const { answers, logger: log } = options
  const limits = { limitMs: options.timeoutMs, log }
  const images = new ImageService({ ...options, credentialsFor: fromAuthConfig, log })
  const resolves = new ResolveService({ answers, credentialsFor: fromAuthConfig })
  const paths: string[] = []
  for (const version of VERSIONS) {
    const definition = imageServiceDefinition(version)
    server.addService(definition, {
      pullImage: unary<Buffer, Buffer>((r, caller) => images.pull(r, caller, version), limits),
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
  return new Set(paths)
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
