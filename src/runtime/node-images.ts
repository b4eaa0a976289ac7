import type { ImageRecord } from '../../api/v1/images.ts'
import { type ErrorCode, ResolveError } from '../errors.ts'
import { attemptsOf } from './attempts-trailer.ts'
import { isRuntimeError, type Method, unreachable } from './call.ts'
import { openRuntimeChannel } from './channel.ts'
import { createContentStore } from './content.ts'
import { type CriClient, createCriClient } from './cri-client.ts'
import { type ImageProgress, imageProgress, type WantedImage } from './image-progress.ts'
import { loadService } from './protos.ts'
import type { CriVersion, NodeImage } from './types.ts'

export interface NodeImagesOptions {
  /** Path of our own CRI socket. */
  readonly shim: string
  readonly version: CriVersion | undefined
  /** Why the running service does not serve that socket; undefined: it does, or no service runs. */
  readonly whyClosed: () => Promise<string | undefined>
  /** What a reference is, so that its pull can be seen. Absent: no pull can be seen. */
  readonly known?: (reference: string) => Promise<WantedImage | undefined>
}

/** An image of the node, to be looked for elsewhere. */
export interface NamedImage {
  /** What it is to be looked for by: as pods have it, else its tags, else its digests. */
  readonly names: readonly string[]
  /** `domain/path@digest`, as the runtime has it. */
  readonly repoDigests: readonly string[]
}

const UNIMPLEMENTED = 12

/** Of the gRPC codes that a runtime answers with, and our own socket (docs/errors.md). */
const CODES: Readonly<Record<number, ErrorCode>> = {
  3: 'NAME_INVALID',
  4: 'DEADLINE_EXCEEDED',
  5: 'MANIFEST_UNKNOWN',
  7: 'DENIED',
  8: 'TOOMANYREQUESTS',
  16: 'UNAUTHORIZED',
}

/**
 * The images of this node as our CRI socket shows, pulls and removes them. The calls go through that
 * socket, so that HTTP and the command line give the answers that kubelet gets. Every call throws
 * ResolveError: UNAVAILABLE when the socket is not served, else with the runtime's own text.
 */
export class NodeImages {
  readonly #shim: string
  readonly #whyClosed: NodeImagesOptions['whyClosed']
  readonly #channel: ReturnType<typeof openRuntimeChannel>
  readonly #cri: CriClient
  readonly #known: NodeImagesOptions['known']
  readonly #looks = new Map<string, () => Promise<ImageProgress>>()

  constructor({ known, shim, version, whyClosed }: NodeImagesOptions) {
    this.#known = known
    this.#shim = shim
    this.#whyClosed = whyClosed
    this.#channel = openRuntimeChannel(shim)
    this.#cri = createCriClient(this.#channel, version)
  }

  async list(signal?: AbortSignal): Promise<readonly ImageRecord[]> {
    const images = await this.#explained(this.#cri.listImages(only(signal)))
    return images.map(toRecord)
  }

  /**
   * The images of the pods that live here, and those that are pinned, by the names that pods give them; of a
   * runtime that does not say these, by all tags. Every image, where the runtime lists no containers.
   *
   * @param all every image of the node instead
   */
  async named(all: boolean, signal?: AbortSignal): Promise<readonly NamedImage[]> {
    const images = await this.#explained(this.#cri.listImages(only(signal)))
    if (all) return images.map((image) => namedImage(image))
    const containers = await this.#cri.containerImages(only(signal)).catch((thrown: unknown) => {
      if (isRuntimeError(thrown) && thrown.code === UNIMPLEMENTED) return undefined
      return this.#explained(Promise.reject(thrown))
    })
    if (containers === undefined) return images.map((image) => namedImage(image))
    const byName = new Map(
      images.flatMap((image) =>
        [image.id, ...image.repoDigests, ...image.repoTags].map((name) => [name, image] as const),
      ),
    )
    const written = new Map<NodeImage, Set<string>>()
    for (const image of images) if (image.pinned) written.set(image, new Set())
    for (const container of containers) {
      const image = container.names.map((name) => byName.get(name)).find((each) => each)
      if (image === undefined) continue
      const names = written.get(image) ?? new Set()
      written.set(image, names)
      if (container.written !== '') names.add(container.written)
    }
    return [...written].map(([image, names]) => namedImage(image, [...names]))
  }

  /** @param image any of its names, or its ID; undefined: the runtime has no such image */
  async status(image: string, signal?: AbortSignal): Promise<ImageRecord | undefined> {
    const found = await this.#explained(this.#cri.imageStatus(image, only(signal)))
    return found === undefined ? undefined : toRecord(found)
  }

  /** With all its names; also succeeds when there is no such image. */
  remove(image: string, signal?: AbortSignal): Promise<void> {
    return this.#explained(this.#cri.removeImage(image, only(signal)))
  }

  /** As a kubelet without credentials does. @returns the runtime's own ID of the image */
  async pull(reference: string, signal?: AbortSignal): Promise<string> {
    const version = await this.#explained(this.#cri.version())
    const service = loadService(`runtime/${version}/image.proto`, `runtime.${version}.ImageService`)
    const method = service['PullImage'] as unknown as Method<object, { readonly imageRef: string }>
    const request = method.requestSerialize({ image: { image: reference } })
    const call = this.#cri.pullImage(request, { ...only(signal), version })
    return method.responseDeserialize(await this.#explained(call)).imageRef
  }

  /**
   * How far the layers of an image are that is pulled, as containerd tells on the same socket.
   *
   * @returns undefined: that cannot be told, or not yet. Never rejects
   */
  async layers(reference: string): Promise<ImageProgress['layers']> {
    try {
      let look = this.#looks.get(reference)
      if (look === undefined) {
        const image = await this.#known?.(reference)
        if (image === undefined) return undefined
        look = imageProgress(createContentStore(this.#channel), image)
        this.#looks.set(reference, look)
      }
      return (await look()).layers
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#channel.close()
  }

  #explained<T>(call: Promise<T>): Promise<T> {
    return call.catch(async (thrown: unknown) => {
      if (!isRuntimeError(thrown)) throw thrown
      const { code, details, metadata } = thrown
      const why = unreachable(this.#shim, thrown)
      if (why === undefined) {
        const attempts = attemptsOf(metadata)
        throw new ResolveError(CODES[code] ?? 'UNAVAILABLE', details, { attempts, cause: thrown })
      }
      const reason = await this.#whyClosed()
      const message =
        reason === undefined
          ? `${why}; is the service running, and is this its shim: socket?`
          : `the service runs, but does not serve ${this.#shim}: ${reason}`
      throw new ResolveError('UNAVAILABLE', message, { cause: thrown })
    })
  }
}

function namedImage(
  { repoDigests, repoTags }: NodeImage,
  written: readonly string[] = [],
): NamedImage {
  const names = [written, repoTags, repoDigests].find((each) => each.length > 0) ?? []
  return { names, repoDigests }
}

function only(signal: AbortSignal | undefined) {
  return signal === undefined ? {} : { signal }
}

function toRecord({ id, repoDigests, repoTags, size, pinned }: NodeImage): ImageRecord {
  return {
    imageId: id,
    references: [...repoDigests, ...repoTags],
    sizeBytes: Number(size),
    pinned,
  }
}
