import { ownSignal } from '../concurrency/abortable.ts'
import type { Clock } from '../concurrency/clock.ts'
import { isImageId, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { needsConsent } from '../resolver/candidates.ts'
import type { Candidate } from '../resolver/types.ts'
import { isRuntimeError } from '../runtime/call.ts'
import type { ContentStore } from '../runtime/content.ts'
import type { PullOptions } from '../runtime/cri-client.ts'
import { imageProgress } from '../runtime/image-progress.ts'
import type { CriVersion, ImageNames } from '../runtime/types.ts'
import type { Logger } from '../telemetry/log.ts'
import { traced } from '../telemetry/tracing.ts'
import {
  type AuthConfig,
  authorize,
  pulledImage,
  requestedAuth,
  withImage,
  withPulledImage,
} from './image-messages.ts'
import { wantedNames } from './names.ts'
import type { ImageLookup } from './node-fallback.ts'
import type { Caller } from './owned-call.ts'
import type { PullListener } from './pull-progress.ts'
import { watchPull } from './pull-watch.ts'

/** The runtime, as far as images are pulled into it. */
export interface PullingRuntime extends ImageLookup {
  pullImage(request: Uint8Array, options: PullOptions): Promise<Buffer>
}

export interface ImagePullOptions {
  readonly runtime: PullingRuntime
  readonly names: ImageNames
  readonly resolver: {
    /** What is shown at that candidate. */
    credentials(candidate: Candidate): Promise<Credentials | undefined>
  }
  /** False: the mirror's tag is pulled where one was asked for. Default true. */
  readonly byDigest?: (() => boolean) | undefined
  /** Absent: nothing can be seen of the runtime's downloads, nor mended. */
  readonly content?: ContentStore | undefined
  /**
   * How long resolving may take, and how long a pull may go on without progress, though that never
   * less than a minute, in milliseconds; the setting `timeout`.
   */
  readonly timeoutMs: number
  readonly clock: Clock
  readonly log: Pick<Logger, 'warn'>
}

/** What a place is asked for. */
export interface Pulled {
  readonly digest: string
  /** Of the config; absent: not known. */
  readonly imageId?: string
}

/** containerd tells of what came in steps of 1 MiB, which may take a slow line as long as this. */
const SHORTEST_SILENCE_MS = 60_000
/** Layers of one image that are mended in one pull; each costs one more request to the runtime. */
const MAX_MENDED = 8

/** One PullImage of a caller, which can be made more than once; messages stay bytes. */
export class ImagePull {
  /** The caller's credentials. */
  readonly auth: AuthConfig | undefined
  readonly #request: Buffer
  readonly #caller: Caller
  readonly #version: CriVersion
  readonly #options: ImagePullOptions
  readonly #progress: PullListener | undefined
  readonly #mended = new Set<string>()

  constructor(
    request: Buffer,
    caller: Caller,
    version: CriVersion,
    options: ImagePullOptions,
    progress?: PullListener,
  ) {
    this.auth = requestedAuth(request)
    this.#request = request
    this.#caller = caller
    this.#version = version
    this.#options = options
    this.#progress = progress
  }

  /**
   * Whether the resolver has asked that candidate with the credentials that the runtime would use there: at the
   * origin those of the caller, in the forms that the runtime knows.
   */
  isAskedAlike({ credentials, origin }: Candidate): boolean {
    if (!origin || this.auth === undefined) return true
    return this.auth.serverAddress === '' && credentials?.kind !== 'registryToken' && !!credentials
  }

  /**
   * Exactly as the caller put it.
   *
   * @returns the runtime's answer, with its own ID of the image where it answers with a name
   * @throws RuntimeError, untouched
   */
  async asItCame(): Promise<Buffer> {
    const attributes = { 'image_resolver.passthrough': true }
    const response = await traced('pull', { attributes }, () => this.#send(this.#request))
    const named = nameIn(response)
    if (named === undefined || isImageId(named)) return response
    const { signal } = this.#caller
    // The pull has succeeded, even if its name cannot be found out.
    const image = await this.#options.runtime.imageStatus(named, { signal }).catch(() => undefined)
    return image === undefined ? response : withPulledImage(response, image.id)
  }

  /**
   * What the reference was resolved to, from one place that has it, named by what was asked.
   *
   * @returns the runtime's answer, with its own ID of the image
   * @param wanted the names that it gets
   * @throws as ImageNames.withLease; ResolveError DEADLINE_EXCEEDED when it makes no progress
   */
  async from(
    candidate: Candidate,
    reference: Reference,
    image: Pulled,
    wanted = wantedNames(reference, image.digest),
  ): Promise<Buffer> {
    const { names, resolver } = this.#options
    const { signal } = this.#caller
    const pullNames = this.#pullNames(candidate, reference, image.digest)
    const request = authorize(
      withImage(this.#request, pullNames[0]),
      candidate,
      this.auth,
      await resolver.credentials(candidate),
    )
    let response: Buffer = Buffer.alloc(0)
    const pullAndName = pullNames.reduce(
      (pulling, name) => () => names.withLease(name, pulling, wanted, { signal }),
      async () => {
        response = await this.#watched(request, candidate, image)
        return pulledImage(response)
      },
    )
    const attributes = {
      'container.image.name': `${reference.domain}/${reference.path}`,
      'oci.manifest.digest': image.digest,
      'server.address': candidate.endpoint.host,
      'image_resolver.registry': candidate.registry,
    }
    const imageId = await traced('pull', { attributes }, pullAndName)
    return withPulledImage(response, imageId)
  }

  /** What the runtime is asked for, and then every other name that it gives to that itself. */
  #pullNames(
    candidate: Candidate,
    { tag, digest: pinned }: Reference,
    digest: string,
  ): readonly [string, ...string[]] {
    const { pullName } = candidate
    const byDigest = `${pullName}@${digest}`
    const isExact =
      pinned !== undefined || tag === undefined || (this.#options.byDigest?.() ?? true)
    // The origin consented to a digest; what a mirror that is not trusted has under the tag is its own.
    return isExact || needsConsent(candidate) ? [byDigest] : [`${pullName}:${tag}`, byDigest]
  }

  async #watched(request: Uint8Array, { registry }: Candidate, image: Pulled): Promise<Buffer> {
    const { clock, content, timeoutMs } = this.#options
    const look = content && imageProgress(content, image)
    this.#progress?.from(registry, look && (async () => (await look()).layers))
    if (look === undefined) return this.#send(request)
    const limitMs = Math.max(timeoutMs, SHORTEST_SILENCE_MS)
    const watch = watchPull({ look, registry, limitMs, clock })
    const ends = ownSignal(this.#caller.signal, watch.signal)
    try {
      return await this.#send(request, ends.signal)
    } finally {
      ends.release()
      watch.stop()
    }
  }

  /** A download that was spoiled once is discarded, and this request made again, once for each. */
  async #send(request: Uint8Array, signal = this.#caller.signal): Promise<Buffer> {
    for (;;) {
      try {
        return await this.#sendOnce(request, signal)
      } catch (thrown) {
        const ref = spoiledDownload(thrown)
        if (ref === undefined || signal.aborted || !(await this.#discarded(ref))) throw thrown
        // Bytes that are wrong again are this registry's: the next one begins without them.
        if (this.#mended.has(ref) || this.#mended.size >= MAX_MENDED) throw thrown
        this.#mended.add(ref)
      }
    }
  }

  async #discarded(ref: string): Promise<boolean> {
    const { content, log } = this.#options
    if (content === undefined) return false
    try {
      const isDiscarded = await content.discard(ref)
      if (isDiscarded) log.warn({ ref }, 'discarded a download of the runtime with wrong bytes')
      else log.warn({ ref }, 'a download of the runtime with wrong bytes is in use, and left alone')
      return isDiscarded
    } catch (err) {
      log.warn({ err, ref }, 'could not discard a download of the runtime with wrong bytes')
      return false
    }
  }

  #sendOnce(request: Uint8Array, signal: AbortSignal): Promise<Buffer> {
    const { metadata, deadline } = this.#caller
    const options: PullOptions = {
      version: this.#version,
      metadata,
      signal,
      ...(deadline === undefined ? {} : { deadline }),
    }
    return this.#options.runtime.pullImage(request, options)
  }
}

/** undefined: an answer of a form that we do not know, and that the caller may. */
function nameIn(response: Buffer): string | undefined {
  try {
    return pulledImage(response)
  } catch {
    return undefined
  }
}

const FAILED_COMMIT = /failed commit on ref "([a-z]{1,32}-[a-z0-9]{1,32}:[0-9a-f]{32,128})"/
/** Of a disk that is full, or a lease that is gone, nothing would be mended by another download. */
const WRONG_BYTES = /failed size validation|unexpected commit (?:digest|size)/

/**
 * The download that containerd could not commit since its bytes are wrong. It goes on from them each
 * time that this digest is pulled, from whichever registry, so that one wrong byte that came once makes
 * every further pull fail.
 *
 * @param thrown by a pull; only its text tells (containerd, content/helpers.go and content/local/writer.go)
 * @returns the ref of the ingest; undefined: it failed for another reason
 */
export function spoiledDownload(thrown: unknown): string | undefined {
  if (!isRuntimeError(thrown) || !WRONG_BYTES.test(thrown.details)) return undefined
  return FAILED_COMMIT.exec(thrown.details)?.[1]
}
