import { type CallOptions, deadlineIn, type Method, unless } from './call.ts'
import type { RuntimeChannel } from './channel.ts'
import { containerdMethod, KUBERNETES_NAMESPACE } from './protos.ts'
import { status } from './status.ts'

/** One call; they are all local. */
const LIMIT_MS = 10_000
/** Manifests are smaller: registries take none above 4 MiB (distribution-spec, "Pushing manifests"). */
const READ_BYTES = 4 * 1024 * 1024

/** A blob that is there as a whole. */
export interface Blob {
  /** Bytes. */
  readonly size: number
  readonly labels: Readonly<Record<string, string>>
}

/** A download under way, or one that was left behind. */
export interface Ingest {
  /** `layer-sha256:…`, `manifest-sha256:…`, `index-sha256:…`, `config-sha256:…` */
  readonly ref: string
  /** Bytes that came. */
  readonly offset: number
  /** Bytes that are expected; 0: not known. */
  readonly total: number
}

/**
 * The runtime's content: blobs by digest, downloads, unpacked layers. Only containerd offers this, on
 * the socket of CRI; of another runtime every call throws RuntimeError UNIMPLEMENTED.
 */
export interface ContentStore {
  /** @returns undefined: that blob is not there, or not yet as a whole */
  info(digest: string, signal?: AbortSignal): Promise<Blob | undefined>
  /** @returns the bytes of a manifest or index; undefined: not there, or more than 4 MiB */
  read(digest: string, signal?: AbortSignal): Promise<Buffer | undefined>
  ingests(signal?: AbortSignal): Promise<readonly Ingest[]>
  hasSnapshot(snapshotter: string, key: string, signal?: AbortSignal): Promise<boolean>
  /**
   * Discards what was written for a ref and never committed, also where this namespace has lost sight
   * of it: opening a writer brings it back. The writer's lock is held until the ref is discarded, so
   * that no download can begin in between.
   *
   * @returns false: another writer holds the ref, and it was left alone
   */
  discard(ref: string): Promise<boolean>
}

interface WireBlob {
  readonly size: string
  readonly labels: Readonly<Record<string, string>>
}

interface WireIngest {
  readonly ref: string
  readonly offset: string
  readonly total: string
}

/** containerd's, of what belongs to Kubernetes. */
export function createContentStore(channel: RuntimeChannel): ContentStore {
  function call<Response>(
    method: Method<object, Response>,
    request: object,
    signal: AbortSignal | undefined,
  ): Promise<Response> {
    return channel.call(method, request, optionsOf(signal))
  }

  async function info(digest: string, signal?: AbortSignal): Promise<Blob | undefined> {
    const answer = call(containerdMethod<{ info: WireBlob }>('Content', 'Info'), { digest }, signal)
    const found = await unless(status.NOT_FOUND, undefined, answer)
    return found && { size: Number(found.info.size), labels: found.info.labels }
  }

  return {
    info,
    read: async (digest, signal) => {
      const blob = await info(digest, signal)
      if (blob === undefined || blob.size > READ_BYTES) return undefined
      const method = containerdMethod<{ readonly data: Buffer }>('Content', 'Read')
      const answer = channel.callForAll(method, { digest }, optionsOf(signal))
      const parts = await unless(status.NOT_FOUND, undefined, answer)
      return parts && Buffer.concat(parts.map(({ data }) => data))
    },
    ingests: async (signal) => {
      const method = containerdMethod<{ statuses: readonly WireIngest[] }>(
        'Content',
        'ListStatuses',
      )
      const answer = await call(method, {}, signal)
      return answer.statuses.map(({ ref, offset, total }) => ({
        ref,
        offset: Number(offset),
        total: Number(total),
      }))
    },
    hasSnapshot: (snapshotter, key, signal) =>
      unless(
        status.NOT_FOUND,
        false,
        call(
          containerdMethod<{ info: { kind: string } }>('Snapshots', 'Stat'),
          { snapshotter, key },
          signal,
        ).then(({ info: { kind } }) => kind === 'COMMITTED'),
      ),
    discard: async (ref) => {
      // Pulls seldom fail on wrong bytes, and grpc-js takes 40 ms and 2 MiB.
      const { discard } = await import('./discard.ts')
      return discard(channel, ref)
    },
  }
}

function optionsOf(signal: AbortSignal | undefined): CallOptions {
  return {
    metadata: KUBERNETES_NAMESPACE,
    deadline: deadlineIn(LIMIT_MS),
    ...(signal && { signal }),
  }
}

/** An index of more platforms is looked at no further. */
const MAX_CHILDREN = 200
/** At the blob of a config; behind it the name of the snapshotter. */
export const SNAPSHOT_LABEL = 'containerd.io/gc.ref.snapshot.'

/** What a manifest names. */
export interface ImageBlobs {
  /** Of the manifest itself. */
  readonly manifest: string
  readonly config: string
  readonly layers: readonly { readonly digest: string; readonly size: number }[]
}

/**
 * Whether the runtime has everything that a container of the image needs: the manifest, the config,
 * and the layers as blobs or the snapshot that they were unpacked into. A name proves none of it: the
 * content of an image can be gone while its name is still there.
 *
 * @param target what the name stands for: a manifest or an index
 * @param imageId the digest of the config, as containerd's CRI part says it
 * @throws RuntimeError
 */
export async function isComplete(
  content: ContentStore,
  target: string,
  imageId: string,
): Promise<boolean> {
  const blobs = await imageBlobs(content, target, imageId)
  if (blobs === undefined) return false
  const config = await content.info(blobs.config)
  if (config === undefined) return false
  for (const [label, key] of Object.entries(config.labels)) {
    if (!label.startsWith(SNAPSHOT_LABEL)) continue
    if (await content.hasSnapshot(label.slice(SNAPSHOT_LABEL.length), key)) return true
  }
  for (const { digest } of blobs.layers) {
    if ((await content.info(digest)) === undefined) return false
  }
  return true
}

/**
 * The blobs of the image with that ID, through an index or not.
 *
 * @returns undefined: the manifest is not there, or not yet
 */
export async function imageBlobs(
  content: Pick<ContentStore, 'read'>,
  target: string,
  imageId: string,
): Promise<ImageBlobs | undefined> {
  const read = async (digest: string): Promise<Fields | undefined> =>
    fieldsOf(await content.read(digest))
  const top = await read(target)
  if (top === undefined) return undefined
  if (!Array.isArray(top['manifests'])) return blobsOf(target, top, imageId)
  for (const child of top['manifests'].slice(0, MAX_CHILDREN)) {
    const digest = isFields(child) ? child['digest'] : undefined
    const manifest = typeof digest === 'string' ? await read(digest) : undefined
    const blobs = manifest && blobsOf(digest as string, manifest, imageId)
    if (blobs !== undefined) return blobs
  }
  return undefined
}

type Fields = Readonly<Record<string, unknown>>

function blobsOf(
  manifest: string,
  { config, layers }: Fields,
  imageId: string,
): ImageBlobs | undefined {
  if (!isFields(config) || config['digest'] !== imageId || !Array.isArray(layers)) return undefined
  return {
    manifest,
    config: imageId,
    layers: layers.filter(isFields).map(({ digest, size }) => ({
      digest: String(digest),
      size: Number(size) || 0,
    })),
  }
}

function fieldsOf(bytes: Buffer | undefined): Fields | undefined {
  try {
    const value: unknown = JSON.parse(bytes?.toString() ?? '')
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
