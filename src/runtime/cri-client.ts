import { ownSignal } from '../concurrency/abortable.ts'
import { fieldsOf, parseJson } from '../json.ts'
import {
  type CallOptions,
  deadlineIn,
  isRuntimeError,
  type Method,
  type RuntimeError,
  rawMethod,
  runtimeError,
  unreachable,
} from './call.ts'
import type { RuntimeChannel } from './channel.ts'
import { loadService } from './protos.ts'
import { status } from './status.ts'
import type { CriVersion, NodeImage } from './types.ts'
import {
  askedVersions,
  forcedVersion,
  type SpokenVersions,
  type VersionAnswer,
} from './versions.ts'

/** For questions the runtime answers from memory. */
const QUESTION_LIMIT_MS = 10_000
/** What the kubelet allows for everything but pulling. */
const REMOVE_LIMIT_MS = 120_000
const REMOVE_TRIES = 4
const READY_LIMIT_MS = 1_000
const NOTHING = new Uint8Array()
/** For the question for its version, before the call itself, which has a limit of its own. */
const VERSION_LIMIT_MS = 2_000
/**
 * Whether the runtime answers anything during a pull, which may take hours: how often it is asked for its
 * version, how long it has for that, and how many times in a row make it silent.
 */
const LOOKS = { everyMs: 10_000, limitMs: 10_000, silent: 3 }

/** The image side of the runtime below us. Every call throws RuntimeError as the runtime sent it. */
export interface CriClient {
  /**
   * Which CRI is spoken to the runtime: the configured one, else v1 unless it serves v1alpha2 alone,
   * found out once per connection. v1, too, while the runtime does not answer.
   */
  version(): Promise<CriVersion>
  /** Whether the runtime answers within a second; never throws. */
  ready(): Promise<boolean>
  /** What the runtime, or the way to it, says instead of answering within a second; never throws. */
  failure(): Promise<RuntimeError | undefined>
  /** One image by name, digested name, ID or beginning of an ID; undefined when it is not there. */
  imageStatus(image: string, options?: CallOptions): Promise<NodeImage | undefined>
  listImages(options?: CallOptions): Promise<readonly NodeImage[]>
  /** What the containers of pods that live were made from. */
  containerImages(options?: CallOptions): Promise<readonly ContainerImage[]>
  /** The folders where the runtime keeps images. */
  imageFolders(): Promise<readonly string[]>
  /** `sandbox_image` of containerd 1, as it is configured; undefined: the runtime does not say. */
  sandboxImage(): Promise<string | undefined>
  /**
   * @param request a PullImageRequest on the wire
   * @returns a PullImageResponse on the wire
   * @throws RuntimeError UNAVAILABLE when the runtime has answered nothing at all for a minute; no other limit
   * but the given ones
   */
  pullImage(request: Uint8Array, options: PullOptions): Promise<Buffer>
  /** Removes an image, of which its ID takes all names; one that is already gone is a success. */
  removeImage(image: string, options?: CallOptions): Promise<void>
}

export interface PullOptions extends CallOptions {
  /** Of the caller; the runtime gets the request in it if it serves it, else in the other one. */
  readonly version: CriVersion
}

/** The image of one container, as far as the runtime says it. */
export interface ContainerImage {
  /** As the author of the pod wrote it; '' before CRI 0.28. */
  readonly written: string
  /** Names or IDs of it, the surest first. */
  readonly names: readonly string[]
}

interface WireContainer {
  readonly podSandboxId: string
  readonly image: { readonly image: string; readonly userSpecifiedImage?: string } | null
  readonly imageRef: string
  readonly imageId?: string
}

interface WirePodSandbox {
  readonly id: string
  readonly state: 'SANDBOX_READY' | 'SANDBOX_NOTREADY'
}

interface WireImage {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
  readonly size: string
  readonly pinned: boolean
}

interface WireStatus {
  readonly info: Readonly<Record<string, string>>
}

interface WireFilesystems {
  readonly imageFilesystems: readonly { readonly fsId: { readonly mountpoint: string } | null }[]
}

/** @param configured speak this version and do not find out */
export function createCriClient(
  channel: RuntimeChannel,
  configured?: CriVersion,
  looks = LOOKS,
): CriClient {
  let spoken: SpokenVersions | undefined
  channel.onLost(() => {
    spoken = undefined
  })

  async function versionFor(asked: CriVersion): Promise<CriVersion> {
    spoken ??= configured === undefined ? askedVersions(answerTo) : forcedVersion(configured)
    return spoken.of(asked)
  }

  // Asked before the CRI socket is opened, and whether there is an answer is all that counts: no proto is read for it.
  const askVersion = (of: CriVersion, limitMs: number) =>
    channel.call(rawMethod(`/runtime.${of}.RuntimeService/Version`), NOTHING, {
      deadline: deadlineIn(limitMs),
    })

  /** A runtime that does not answer is none to be found out: the call itself will say why. */
  function answerTo(version: CriVersion): Promise<VersionAnswer> {
    return askVersion(version, VERSION_LIMIT_MS).then(
      () => 'served',
      (error) => (isUnimplemented(error) ? 'unimplemented' : 'unknown'),
    )
  }

  async function failure(): Promise<RuntimeError | undefined> {
    const failureOf = (version: CriVersion): Promise<RuntimeError | undefined> =>
      askVersion(version, READY_LIMIT_MS).then(
        () => undefined,
        (error: RuntimeError) => error,
      )
    const first = await failureOf(configured ?? 'v1')
    return configured === undefined && isUnimplemented(first) ? failureOf('v1alpha2') : first
  }

  /** The signal of the call ends with the caller's, and when the runtime is silent. */
  async function whileAnswering<T>(
    caller: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const { everyMs, limitMs, silent } = looks
    const ending = ownSignal(...(caller === undefined ? [] : [caller]))
    let silentLooks = 0
    let isOver = false
    let timer = setTimeout(look, everyMs)
    async function look(): Promise<void> {
      const isSilent = await askVersion(configured ?? 'v1', limitMs).then(() => false, isNoAnswer)
      if (isOver) return
      silentLooks = isSilent ? silentLooks + 1 : 0
      if (silentLooks < silent) {
        timer = setTimeout(look, everyMs)
        return
      }
      const seconds = (silent * (everyMs + limitMs)) / 1_000
      const details = `No answer from ${channel.path} for ${seconds} s, to other calls neither`
      ending.end(runtimeError(status.UNAVAILABLE, details))
    }
    try {
      return await call(ending.signal)
    } finally {
      clearTimeout(timer)
      ending.release()
      isOver = true
    }
  }

  async function ask<Response>(
    rpc: string,
    request: object,
    options: CallOptions,
    service: 'ImageService' | 'RuntimeService' = 'ImageService',
  ) {
    const of = method<object, Response>(await versionFor('v1'), service, rpc)
    return channel.call(of, request, options)
  }

  return {
    version: () => versionFor('v1'),
    ready: async () => (await failure()) === undefined,
    failure,
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
    containerImages: async (options) => {
      const limited = { deadline: deadlineIn(QUESTION_LIMIT_MS), ...options }
      const all = <T>(rpc: string) => ask<T>(rpc, {}, limited, 'RuntimeService')
      const [{ items }, { containers }] = await Promise.all([
        all<{ readonly items: readonly WirePodSandbox[] }>('ListPodSandbox'),
        all<{ readonly containers: readonly WireContainer[] }>('ListContainers'),
      ])
      // What is left of a pod that ended stays listed until the kubelet removes it.
      const dead = new Set(items.flatMap(({ id, state }) => (state === 'SANDBOX_READY' ? [] : id)))
      return containers
        .filter(({ podSandboxId }) => !dead.has(podSandboxId))
        .map(({ image, imageId = '', imageRef }) => ({
          written: image?.userSpecifiedImage ?? '',
          names: [imageId, imageRef, image?.image ?? ''].filter((name) => name !== ''),
        }))
    },
    imageFolders: async () => {
      const limited = { deadline: deadlineIn(QUESTION_LIMIT_MS) }
      const { imageFilesystems } = await ask<WireFilesystems>('ImageFsInfo', {}, limited)
      return imageFilesystems.map(({ fsId }) => fsId?.mountpoint ?? '')
    },
    sandboxImage: async () => {
      const limited = { deadline: deadlineIn(QUESTION_LIMIT_MS) }
      const asked = { verbose: true }
      const { info } = await ask<WireStatus>('Status', asked, limited, 'RuntimeService')
      const { sandboxImage } = fieldsOf(parseJson(info['config'] ?? ''))
      return typeof sandboxImage === 'string' ? sandboxImage : undefined
    },
    pullImage: async (request, options) => {
      const version = await versionFor(options.version)
      const method = rawMethod(`/runtime.${version}.ImageService/PullImage`)
      return whileAnswering(options.signal, (signal) =>
        channel.call(method, request, { ...options, signal }),
      )
    },
    removeImage: async (image, options) => {
      if (image === '') throw new TypeError('an empty name would remove whichever image there is')
      const limited = { deadline: deadlineIn(REMOVE_LIMIT_MS), ...options }
      for (let tries = REMOVE_TRIES; ; tries -= 1) {
        try {
          await ask('RemoveImage', { image: { image } }, limited)
          return
        } catch (error) {
          // Of containerd, where another removal took one of the names: the others may still be there.
          const isGone = isRuntimeError(error) && error.code === status.NOT_FOUND
          if (!isGone || tries === 1) throw error
        }
      }
    },
  }
}

function isNoAnswer(error: unknown): boolean {
  return isRuntimeError(error) && unreachable('', error) !== undefined
}

function isUnimplemented(error: unknown): boolean {
  return isRuntimeError(error) && error.code === status.UNIMPLEMENTED
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
