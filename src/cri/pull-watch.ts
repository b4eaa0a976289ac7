import type { Clock } from '../concurrency/clock.ts'
import { ResolveError } from '../errors.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { ImageProgress } from '../runtime/image-progress.ts'
import { status } from '../runtime/status.ts'

const LOOKS_PER_LIMIT = 10
const FASTEST_MS = 1_000
const SLOWEST_MS = 10_000

export interface PullWatchOptions {
  /** How far the image is. */
  readonly look: () => Promise<ImageProgress>
  /** Where from, for the error. */
  readonly registry: string
  /** How long a pull may go on without progress, in milliseconds. */
  readonly limitMs: number
  readonly clock: Clock
}

export interface PullWatch {
  /** Aborts, with ResolveError DEADLINE_EXCEEDED, when the pull makes no progress any more. */
  readonly signal: AbortSignal
  stop(): void
}

/**
 * Watches the content of one image come in. No progress is: some of its content is missing, and for
 * the whole limit no byte of its downloads came. Before it has any download of its own, while the
 * runtime may let it wait for others, those count as well. When everything is there the runtime is
 * unpacking, of which nothing can tell; nor can it in front of a runtime without a content store. Then
 * the pull ends when it ends, or its caller leaves.
 */
export function watchPull(options: PullWatchOptions): PullWatch {
  const { clock, limitMs, look, registry } = options
  const stalled = new AbortController()
  const intervalMs = Math.min(Math.max(limitMs / LOOKS_PER_LIMIT, FASTEST_MS), SLOWEST_MS)
  let last = ''
  let quietMs = 0
  let isStopped = false
  let cancel = next()

  function next(): () => void {
    return clock.after(intervalMs, () => void judge())
  }

  async function judge(): Promise<void> {
    const seen = await look().catch((error: unknown) => {
      if (isRuntimeError(error) && error.code === status.UNIMPLEMENTED) isStopped = true
      return undefined
    })
    if (isStopped) return
    const isDownloading = seen !== undefined && !seen.isWhole
    // Counted by looks, not by a clock: time during which this process did not run is no silence.
    quietMs = isDownloading && seen.state === last ? quietMs + intervalMs : 0
    last = isDownloading ? seen.state : ''
    if (!isDownloading || quietMs < limitMs) {
      cancel = next()
      return
    }
    const quiet = `no progress for ${limitMs / 1_000} s (timeout)`
    const message = `${quiet}: ${registry} had sent ${seen.bytes} bytes`
    stalled.abort(new ResolveError('DEADLINE_EXCEEDED', message))
  }

  return {
    signal: stalled.signal,
    stop() {
      isStopped = true
      cancel()
    },
  }
}
