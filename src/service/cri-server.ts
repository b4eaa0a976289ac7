import { access, constants } from 'node:fs/promises'
import type { Config } from '../config/config.ts'
import { ResolveError } from '../errors.ts'
import type { RuntimeError } from '../runtime/call.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Core } from './core.ts'
import type { OpenServer } from './listeners.ts'

/** What calls under way get when the service is told to end; the unit kills after 90 s. */
const GRACE = { graceMs: 10_000, pullGraceMs: 60_000 }

interface CriServerOptions {
  /** Of now: some of it changes while the server runs. */
  readonly config: () => Config
  readonly core: Core
  /** A listening socket that was handed down; undefined: one is made at the configured path. */
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
}: CriServerOptions): Promise<OpenServer> {
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
    onResolveError: () => config().onResolveError,
    timeoutMs,
    logger,
    metrics: core.metrics,
  })
  logger.info({ shim: path, cri: runtime.path }, 'CRI is served')
  return { unavailableReason: () => server.unavailableReason(), close: () => server.close(GRACE) }
}

/** Why a runtime cannot be used: nobody there, nobody there for us, or what it said. */
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
  const { answered } = await import('../runtime/unreachable.ts')
  const said = answered(failure, version) ?? 'does not answer yet'
  return new ResolveError('UNAVAILABLE', `the runtime at ${socket} ${said}`)
}
