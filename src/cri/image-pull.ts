import { isImageId, type Reference } from '../reference/reference.ts'
import type { Credentials } from '../registry/credentials.ts'
import { needsConsent } from '../resolver/candidates.ts'
import type { Candidate, Resolution } from '../resolver/types.ts'
import type { CallResult } from '../runtime/call.ts'
import type { PullOptions } from '../runtime/cri-client.ts'
import type { CriVersion, ImageNames } from '../runtime/types.ts'
import type { ImageLookup } from './adopt.ts'
import {
  type AuthConfig,
  pulledImage,
  requestedAuth,
  withImage,
  withPulledImage,
} from './image-messages.ts'
import { wantedNames } from './names.ts'
import { authorize } from './pull-auth.ts'
import type { Caller } from './unary.ts'

/** The runtime, as far as images are pulled into it. */
export interface PullingRuntime extends ImageLookup {
  pullImage(request: Uint8Array, options: PullOptions): Promise<CallResult<Buffer>>
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
}

/** One PullImage of a caller, which can be made more than once; messages stay bytes. */
export class ImagePull {
  /** The caller's credentials. */
  readonly auth: AuthConfig | undefined
  readonly #request: Buffer
  readonly #caller: Caller
  readonly #version: CriVersion
  readonly #options: ImagePullOptions

  constructor(request: Buffer, caller: Caller, version: CriVersion, options: ImagePullOptions) {
    this.auth = requestedAuth(request)
    this.#request = request
    this.#caller = caller
    this.#version = version
    this.#options = options
  }

  /**
   * Exactly as the caller put it.
   *
   * @returns the runtime's answer, with its own ID of the image where it answers with a name
   * @throws RuntimeError, untouched
   */
  async asItCame(): Promise<Buffer> {
    const response = await this.#send(this.#request)
    const named = nameIn(response)
    if (named === undefined || isImageId(named)) return response
    const { signal } = this.#caller
    // The image is there; that nobody can say what it is called is no reason to fail.
    const image = await this.#options.runtime.imageStatus(named, { signal }).catch(() => undefined)
    return image === undefined ? response : withPulledImage(response, image.id)
  }

  /**
   * What the reference was resolved to, from one place that has it, named by what was asked.
   *
   * @returns the runtime's answer, with its own ID of the image
   * @throws as ImageNames.withClaim
   */
  async from(candidate: Candidate, reference: Reference, resolution: Resolution): Promise<Buffer> {
    const { names, resolver } = this.#options
    const { signal } = this.#caller
    const pullNames = this.#pullNames(candidate, reference, resolution)
    const wanted = wantedNames(reference, resolution.digest)
    const request = authorize(
      withImage(this.#request, pullNames[0]),
      candidate,
      this.auth,
      await resolver.credentials(candidate),
    )
    let response: Buffer = Buffer.alloc(0)
    const claimed = pullNames.reduce(
      (claiming, name) => () => names.withClaim(name, claiming, wanted, { signal }),
      async () => {
        response = await this.#send(request)
        return pulledImage(response)
      },
    )
    const imageId = await claimed()
    return withPulledImage(response, imageId)
  }

  /** What the runtime is asked for, and then every other name that it gives to that itself. */
  #pullNames(
    candidate: Candidate,
    { tag, digest: pinned }: Reference,
    { digest }: Resolution,
  ): readonly [string, ...string[]] {
    const { pullName } = candidate
    const byDigest = `${pullName}@${digest}`
    const isExact =
      pinned !== undefined || tag === undefined || (this.#options.byDigest?.() ?? true)
    // The origin consented to a digest; what a mirror that is not trusted has under the tag is its own.
    return isExact || needsConsent(candidate) ? [byDigest] : [`${pullName}:${tag}`, byDigest]
  }

  async #send(request: Uint8Array): Promise<Buffer> {
    const { metadata, deadline, signal } = this.#caller
    const options: PullOptions = {
      version: this.#version,
      metadata,
      signal,
      ...(deadline === undefined ? {} : { deadline }),
    }
    return (await this.#options.runtime.pullImage(request, options)).response
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
