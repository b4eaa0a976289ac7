import { access, constants } from 'node:fs/promises'
import { abortable } from '../concurrency/abortable.ts'
import type { Config } from '../config/config.ts'
import { openCriServer } from '../cri/server.ts'
import { ResolveError } from '../errors.ts'
import type { RuntimeError } from '../runtime/call.ts'
import type { CriVersion } from '../runtime/types.ts'
import type { Logger } from '../telemetry/log.ts'
import type { Core } from './core.ts'
import type { OpenServer } from './listeners.ts'

/** How long calls under way may take when the service ends; the unit kills after 90 s. */
const GRACE = { graceMs: 10_000, pullGraceMs: 60_000 }

export interface ServerOptions {
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
 * @param options `signal` ends when no server is to be opened any more
 * @throws ResolveError UNAVAILABLE while there is no runtime, DENIED without the right to its socket;
 * the signal's reason; and as listenOnSocket
 */
export async function startCri({
  config,
  core,
  fd,
  logger,
  signal,
}: ServerOptions & { readonly signal: AbortSignal }): Promise<OpenServer> {
  const runtime = await core.runtime()
  const { force, shim: path, timeoutMs, version } = config()
  const failure = force ? undefined : await abortable(runtime.cri.failure(), signal)
  if (failure !== undefined) throw await absence(runtime.path, failure, version)
  const server = await openCriServer({
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
    signal,
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
