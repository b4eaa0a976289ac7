import { setTimeout as sleep } from 'node:timers/promises'
import { toResolveError } from '../errors.ts'
import type { Readiness } from './install.ts'

export interface WatchOptions {
  readonly readiness: () => Promise<Readiness>
  /** How long the service may go without being ready. */
  readonly limitMs: number
  /** Leaves the node as it was. */
  readonly putBack: () => Promise<unknown>
  /** Ends it. */
  readonly signal: AbortSignal
  readonly say: (line: string) => void
  /** Between two looks. */
  readonly pauseMs?: number
  readonly now?: () => number
}

const PAUSE_MS = 5_000

/**
 * Stays beside a service that was installed. When that is not ready for too long, the node is put back, once: what
 * has failed is not tried again by itself.
 *
 * @returns when the signal ends it
 */
export async function watchService(options: WatchOptions): Promise<void> {
  const { limitMs, putBack, readiness, say, signal } = options
  const { now = () => performance.now(), pauseMs = PAUSE_MS } = options
  let readyAt = now()
  let isPutBack = false
  let said = ''
  const tell = (line: string): void => {
    if (line !== said) say(line)
    said = line
  }
  while (!signal.aborted) {
    const { isReady, reason } = isPutBack ? { isReady: false, reason: '' } : await readiness()
    if (isReady) {
      readyAt = now()
      if (said !== '') tell('image-resolver.service: ready')
      said = ''
    } else if (!isPutBack) {
      const silentMs = now() - readyAt
      tell(`image-resolver.service: not ready: ${reason}`)
      if (silentMs >= limitMs && !signal.aborted) {
        try {
          await putBack()
          isPutBack = true
          say(`put back, since it was not ready for ${Math.round(silentMs / 1_000)} s`)
        } catch (thrown) {
          tell(`it could not be put back, and is tried again: ${toResolveError(thrown).message}`)
        }
      }
    }
    await sleep(pauseMs, undefined, { signal }).catch(() => {})
  }
}
