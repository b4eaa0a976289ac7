import type { Clock } from '../concurrency/clock.ts'
import { ResolveError } from '../errors.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { ContentStore, Ingest } from '../runtime/content.ts'
import { type ImageBlobs, imageBlobs } from '../runtime/content.ts'
import { status } from '../runtime/status.ts'

const LOOKS_PER_LIMIT = 10
const FASTEST_MS = 1_000
const SLOWEST_MS = 10_000

export interface PullWatchOptions {
  readonly content: Pick<ContentStore, 'info' | 'ingests' | 'read'>
  /** What is pulled. */
  readonly image: {
    /** Of the index or manifest that is asked for. */
    readonly digest: string
    /** Of the config; absent: not known. */
    readonly imageId?: string | undefined
  }
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
  const { clock, limitMs, registry } = options
  const stalled = new AbortController()
  const look = looker(options)
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
    // Counted by looks, not by a clock: time during which this process did not run is no silence.
    quietMs = seen === undefined || seen.state !== last ? 0 : quietMs + intervalMs
    last = seen?.state ?? ''
    if (seen === undefined || quietMs < limitMs) {
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

interface Seen {
  /** Changes with every byte that comes. */
  readonly state: string
  /** Of the image, as far as they are there. */
  readonly bytes: number
}

function looker({ content, image }: PullWatchOptions): () => Promise<Seen | undefined> {
  const { digest, imageId } = image
  const sizes = new Map<string, number>()
  let blobs: ImageBlobs | undefined

  async function isThere(blob: string): Promise<boolean> {
    if (sizes.has(blob)) return true
    const found = await content.info(blob)
    if (found !== undefined) sizes.set(blob, found.size)
    return found !== undefined
  }

  return async () => {
    const ingests = await content.ingests()
    if (imageId !== undefined) blobs ??= await imageBlobs(content, digest, imageId)
    const known = new Set([digest, ...(blobs ? [blobs.config] : [])])
    for (const layer of blobs?.layers ?? []) known.add(layer.digest)
    let isWhole = blobs !== undefined
    for (const blob of known) isWhole = (await isThere(blob)) && isWhole
    if (isWhole) return undefined
    const own = ingests.filter(({ ref }) => known.has(ref.slice(ref.indexOf('-') + 1)))
    return {
      state: stateOf(own.length > 0 ? own : ingests, sizes.size),
      bytes: sum(sizes.values()) + sum(own.map(({ offset }) => offset)),
    }
  }
}

function stateOf(ingests: readonly Ingest[], there: number): string {
  const lines = ingests.map(({ ref, offset }) => `${ref} ${offset}`).sort()
  return [`${there} there`, ...lines].join('\n')
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
