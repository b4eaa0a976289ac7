import {
  AVAILABILITIES,
  type Availability,
  CheckedImage,
  type CheckResponse,
} from '../../api/v1/check.ts'
import { onlyNamed } from '../../api/v1/schema.ts'
import { type Clock, systemClock } from '../concurrency/clock.ts'
import { Semaphore } from '../concurrency/semaphore.ts'
import type { Config } from '../config/config.ts'
import { toResolveError } from '../errors.ts'
import { formatReference, parseReference, type Reference } from '../reference/reference.ts'
import { availabilityOf, type ImagePlace, movedTo } from '../resolver/availability.ts'
import { type NamedImage, NodeImages } from '../runtime/node-images.ts'
import type { Logger } from '../telemetry/log.ts'
import { openAvailabilityCheck } from './availability.ts'
import { type Core, requireSocket } from './core.ts'
import { type ListenerReadiness, whyClosed } from './listeners.ts'

interface ImageChecksOptions {
  /** Between two checks; 0: none is made. */
  readonly intervalMs: number
  /** The images in use. @throws ResolveError */
  readonly named: (signal: AbortSignal) => Promise<readonly NamedImage[]>
  /** For one check. The answer says what each place has; it never rejects. */
  readonly open: (signal: AbortSignal) => (reference: Reference) => Promise<readonly ImagePlace[]>
  readonly clock: Clock
  /** 0 to 1. */
  readonly random: () => number
  readonly logger: Pick<Logger, 'info' | 'warn'>
}

/** Two of the 16 requests that one registry is sent at a time: pulls come first. */
const AT_ONCE = 2
/** More than kubelets run by far. */
const MAX_IMAGES = 5_000
/** Nodes that start together do not ask together: the first check is within this part of the interval. */
const FIRST_PART = 0.1
/** Each interval is longer or shorter by up to this part. */
const JITTER = 0.1
/** Where the runtime did not answer, which is asked first: it may be about to start. */
const RETRY_MS = 10_000
/** What keeps an image from starting on another node. */
const UNAVAILABLE: ReadonlySet<Availability> = new Set(['node-only', 'gone', 'denied'])

/** A check that begins before the store is connected would ask what another node is asking. */
const STORE_MS = 5_000

/** Registries that want a longer pause are unknown until the next check. */
const MAX_PAUSE_MS = 600_000

/**
 * Begins to check the images in use, as the CRI socket names them.
 *
 * @param readiness knows why that socket is not served
 */
export function startImageChecks(
  { check, shim, version }: Config,
  core: Core,
  readiness: Pick<ListenerReadiness, 'check'>,
  logger: Logger,
): ImageChecks {
  const checks = new ImageChecks({
    intervalMs: check.intervalMs,
    named: async (signal) => {
      requireSocket(core.runtimeSocket())
      await core.shared.ready(STORE_MS)
      const node = new NodeImages({ shim, version, whyClosed: () => whyClosed(readiness, 'cri') })
      try {
        return await node.named(false, signal)
      } finally {
        node.close()
      }
    },
    open: (signal) => openChecks(core, check.intervalMs, signal),
    clock: systemClock,
    random: Math.random,
    logger,
  })
  checks.start()
  return checks
}

/** What another node of the fleet was told since the check before is not asked for again. */
function openChecks(core: Core, intervalMs: number, signal: AbortSignal) {
  const check = openAvailabilityCheck(core, { maxPauseMs: MAX_PAUSE_MS, signal })
  const maxAgeMs = intervalMs * (1 - JITTER)
  return async (reference: Reference): Promise<readonly ImagePlace[]> => {
    const { cache } = core.shared
    if (cache === undefined) return check.places(reference)
    const candidates = core.resolver.candidates(reference)
    const own = candidates.map((each) => core.resolver.credentials(each))
    const credentials = await Promise.all(own).catch(() => undefined)
    // Another node may have those that cannot be found out here.
    if (credentials === undefined) return check.places(reference)
    const about = { candidates, credentials, maxAgeMs, signal }
    return cache.check({ ...about, reference: formatReference(reference) }, (known) =>
      check.places(reference, { known }),
    )
  }
}

/** Looks from time to time where the images in use could be pulled from again. */
export class ImageChecks {
  readonly #options: ImageChecksOptions
  readonly #ending = new AbortController()
  #cancel = (): void => {}
  #last: CheckResponse

  constructor(options: ImageChecksOptions) {
    this.#options = options
    this.#last = { enabled: options.intervalMs > 0, checkedAt: null, images: [] }
  }

  start(): void {
    const { intervalMs, random } = this.#options
    if (intervalMs > 0) this.#schedule(intervalMs * FIRST_PART * random())
  }

  /** Ends what is asked. */
  close(): void {
    this.#cancel()
    this.#ending.abort()
  }

  report(): CheckResponse {
    return this.#last
  }

  /** How many images are in which state; undefined before the first check. */
  counts(): Readonly<Record<Availability, number>> | undefined {
    const { checkedAt, images } = this.#last
    if (checkedAt === null) return undefined
    const counts = Object.fromEntries(AVAILABILITIES.map((state) => [state, 0]))
    for (const { state } of images) counts[state] = (counts[state] ?? 0) + 1
    return counts as Record<Availability, number>
  }

  #schedule(ms: number): void {
    const { clock, intervalMs, random } = this.#options
    this.#cancel = clock.after(ms, () => {
      void this.#check().then((isDone) => {
        if (this.#ending.signal.aborted) return
        this.#schedule(isDone ? intervalMs * (1 - JITTER + 2 * JITTER * random()) : RETRY_MS)
      })
    })
  }

  /** @returns whether it came to a result */
  async #check(): Promise<boolean> {
    const { clock, logger, named, open } = this.#options
    const { signal } = this.#ending
    try {
      const images = wanted(await named(signal))
      const places = open(signal)
      const semaphore = new Semaphore(AT_ONCE)
      const checked = await Promise.all(
        images.map((image) => semaphore.run('', signal, () => checkOne(image, places, clock))),
      )
      if (signal.aborted) return false
      const found = checked.filter((each) => each !== undefined)
      const checkedAt = new Date(clock.now()).toISOString()
      this.#last = { enabled: true, checkedAt, images: found }
      this.#tell(found)
      return true
    } catch (thrown) {
      if (signal.aborted) return false
      const { code, message } = toResolveError(thrown)
      const error = `${code}: ${message}`
      if (error !== this.#last.error) {
        logger.warn({ code, reason: message }, 'the images in use could not be checked')
      }
      this.#last = { ...this.#last, error }
      return false
    }
  }

  #tell(images: readonly CheckedImage[]): void {
    const { logger } = this.#options
    const lost = images.filter(({ state }) => UNAVAILABLE.has(state))
    if (lost.length === 0) logger.info({ images: images.length }, 'the images in use were checked')
    else {
      // The log is bounded; GET /check has them all.
      const references = lost.slice(0, 20).map(({ reference }) => reference)
      const counts = { images: images.length, unavailable: lost.length }
      logger.warn({ ...counts, references }, 'images in use would not start on another node')
    }
  }
}

interface Wanted {
  readonly reference: string
  readonly digests: readonly string[]
}

/** Each name once. */
function wanted(images: readonly NamedImage[]): readonly Wanted[] {
  const all = images.flatMap(({ names, repoDigests }) =>
    names.map((reference) => ({
      reference,
      digests: repoDigests.map((each) => each.slice(each.indexOf('@') + 1)),
    })),
  )
  return [...new Map(all.map((image) => [image.reference, image])).values()].slice(0, MAX_IMAGES)
}

/** @returns undefined for a name that is no reference, which no registry has */
async function checkOne(
  { digests, reference }: Wanted,
  ask: (reference: Reference) => Promise<readonly ImagePlace[]>,
  clock: Pick<Clock, 'now'>,
): Promise<CheckedImage | undefined> {
  let parsed: Reference
  try {
    parsed = parseReference(reference)
  } catch {
    return undefined
  }
  const places = await ask(parsed)
  const moved = movedTo(parsed, places, digests)
  return onlyNamed<CheckedImage>(CheckedImage, {
    reference: formatReference(parsed),
    // Without any place the configuration allows none to be asked.
    state: places.length === 0 ? 'denied' : availabilityOf(places, true),
    ...(moved !== undefined && { movedTo: moved }),
    places: places.map(({ ageMs, ...place }) => ({
      ...place,
      ...(ageMs !== undefined && { askedAt: new Date(clock.now() - ageMs).toISOString() }),
    })),
  })
}
