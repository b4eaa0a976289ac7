import { status } from '@grpc/grpc-js'
import {
  type CallOptions,
  type CallResult,
  callUnary,
  deadlineIn,
  isRuntimeError,
  type Method,
  rawMethod,
} from './call.ts'
import type { RuntimeChannel } from './channel.ts'
import { loadService } from './protos.ts'
import type { CriVersion, NodeImage } from './types.ts'

/** For questions the runtime answers from memory. */
const QUESTION_LIMIT_MS = 10_000
/** What the kubelet allows for everything but pulling. */
const REMOVE_LIMIT_MS = 120_000
const READY_LIMIT_MS = 1_000

/** The image side of the runtime below us. Every call throws RuntimeError as the runtime sent it. */
export interface CriClient {
  /** Which CRI the runtime speaks: the configured one, else found out once per connection. */
  version(): Promise<CriVersion>
  /** Whether the runtime answers within a second; never throws. */
  ready(): Promise<boolean>
  /** One image by name, digested name, ID or beginning of an ID; undefined when it is not there. */
  imageStatus(image: string, options?: CallOptions): Promise<NodeImage | undefined>
  listImages(options?: CallOptions): Promise<readonly NodeImage[]>
  /** @param request a PullImageRequest of `version`, on the wire; no limit but the given ones */
  pullImage(request: Uint8Array, options: PullOptions): Promise<CallResult<Buffer>>
  /** Removes an image with all its names; one that is already gone is a success. */
  removeImage(image: string, options?: CallOptions): Promise<void>
}

export interface PullOptions extends CallOptions {
  readonly version: CriVersion
}

interface WireImage {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly size: string
  readonly pinned: boolean
}

/** @param configured speak this version and do not find out */
export function createCriClient(channel: RuntimeChannel, configured?: CriVersion): CriClient {
  const { client } = channel
  let found: Promise<CriVersion> | undefined
  channel.onLost(() => {
    found = undefined
  })

  function version(): Promise<CriVersion> {
    if (configured !== undefined) return Promise.resolve(configured)
    if (found !== undefined) return found
    const asked = findVersion(QUESTION_LIMIT_MS)
    found = asked
    asked.catch(() => {
      if (found === asked) found = undefined
    })
    return asked
  }

  async function findVersion(limitMs: number): Promise<CriVersion> {
    const deadline = deadlineIn(limitMs)
    const ask = (of: CriVersion) =>
      callUnary(client, method(of, 'RuntimeService', 'Version'), {}, { deadline })
    if (configured !== undefined) return ask(configured).then(() => configured)
    try {
      await ask('v1')
      return 'v1'
    } catch (error) {
      if (!isRuntimeError(error) || error.code !== status.UNIMPLEMENTED) throw error
      await ask('v1alpha2')
      return 'v1alpha2'
    }
  }

  async function ask<Response>(rpc: string, request: object, options: CallOptions) {
    const of = method<object, Response>(await version(), 'ImageService', rpc)
    return (await callUnary(client, of, request, options)).response
  }

  return {
    version,
    ready: () =>
      findVersion(READY_LIMIT_MS).then(
        () => true,
        () => false,
      ),
    imageStatus: async (image, options) => {
      // containerd takes the empty name for the beginning of every ID.
      if (image === '') return undefined
      const limited = { deadline: deadlineIn(QUESTION_LIMIT_MS), ...options }
      const answer = await ask<{ image: WireImage | null }>(
        'ImageStatus',
        { image: { image } },
        limited,
      )
      return answer.image === null ? undefined : toNodeImage(answer.image)
    },
    listImages: async (options) => {
      const limited = { deadline: deadlineIn(QUESTION_LIMIT_MS), ...options }
      const answer = await ask<{ images: readonly WireImage[] }>('ListImages', {}, limited)
      return answer.images.map(toNodeImage)
    },
    pullImage: (request, options) =>
      callUnary(
        client,
        rawMethod(`/runtime.${options.version}.ImageService/PullImage`),
        request,
        options,
      ),
    removeImage: async (image, options) => {
      if (image === '') throw new TypeError('an empty name would remove whichever image there is')
      const limited = { deadline: deadlineIn(REMOVE_LIMIT_MS), ...options }
      await ask('RemoveImage', { image: { image } }, limited)
    },
  }
}

function method<Request, Response>(
  version: CriVersion,
  service: string,
  rpc: string,
): Method<Request, Response> {
  const definition = loadService(`runtime/${version}/image.proto`, `runtime.${version}.${service}`)
  return definition[rpc] as unknown as Method<Request, Response>
}

function toNodeImage(image: WireImage): NodeImage {
  const { id, repoTags, repoDigests, pinned } = image
  return { id, repoTags, repoDigests, size: BigInt(image.size), pinned }
}
