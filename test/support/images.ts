import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import type { Platform } from '../../src/reference/platform.ts'
import { type TarFile, tar } from './tar.ts'

export const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
export const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
export const OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
export const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
export const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
export const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
export const DOCKER_CONFIG = 'application/vnd.docker.container.image.v1+json'
export const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip'

/** Bytes with the name that content-addressing gives them. */
export interface Content {
  readonly mediaType: string
  readonly digest: string
  readonly bytes: Buffer
}

/** What a tag points at, and all that hangs below it. */
export interface TestImage extends Content {
  /** Digest of the config; of an index, its first child's. */
  readonly imageId: string
  readonly platform: Platform
  /** Children of an index, in order; empty for a manifest. */
  readonly children: readonly TestImage[]
  /** Config and layers, those of the children included. */
  readonly blobs: readonly Content[]
}

export interface ImageOptions {
  /** Default linux/amd64. */
  readonly platform?: Platform
  /** Another seed, another digest. Default 'seed'. */
  readonly seed?: string
  /** Docker's media types instead of OCI's. */
  readonly docker?: boolean
  /** Files of the layer beside `seed.txt`. */
  readonly files?: readonly TarFile[]
  /** The `config` member of the image config: Cmd, Env, ... */
  readonly config?: Readonly<Record<string, unknown>>
}

export function content(mediaType: string, value: unknown): Content {
  const bytes = Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value))
  return { mediaType, digest: digestOf(bytes), bytes }
}

export function digestOf(bytes: string | Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

export function descriptor(of: Content): { mediaType: string; digest: string; size: number } {
  return { mediaType: of.mediaType, digest: of.digest, size: of.bytes.length }
}

/** One platform's image that a runtime can unpack: a gzipped layer, its config, its manifest. */
export function buildImage(options: ImageOptions = {}): TestImage {
  const platform = options.platform ?? { os: 'linux', architecture: 'amd64' }
  const docker = options.docker ?? false
  const seed = options.seed ?? 'seed'
  const archive = tar([{ path: 'seed.txt', content: `${seed}\n` }, ...(options.files ?? [])])
  const layer = content(docker ? DOCKER_LAYER : OCI_LAYER, gzipSync(archive))
  const config = content(docker ? DOCKER_CONFIG : OCI_CONFIG, {
    created: '2024-01-01T00:00:00Z',
    ...platform,
    config: { Cmd: ['/seed'], Labels: { seed }, ...options.config },
    rootfs: { type: 'layers', diff_ids: [digestOf(archive)] },
    history: [{ created: '2024-01-01T00:00:00Z', created_by: seed }],
  })
  const manifest = content(docker ? DOCKER_MANIFEST : OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: docker ? DOCKER_MANIFEST : OCI_MANIFEST,
    config: descriptor(config),
    layers: [descriptor(layer)],
  })
  return { ...manifest, imageId: config.digest, platform, children: [], blobs: [config, layer] }
}

/** An index of the given images or indexes; `extra` descriptors (attestations, ...) go before them. */
export function buildIndex(
  children: readonly [TestImage, ...TestImage[]],
  options: { readonly docker?: boolean; readonly extra?: readonly object[] } = {},
): TestImage {
  const mediaType = options.docker ? DOCKER_LIST : OCI_INDEX
  const named = children.map((child) => ({
    ...descriptor(child),
    ...(child.children.length === 0 ? { platform: child.platform } : {}),
  }))
  const manifests = [...(options.extra ?? []), ...named]
  const index = content(mediaType, { schemaVersion: 2, mediaType, manifests })
  const [first] = children
  const blobs = children.flatMap((child) => child.blobs)
  return { ...index, imageId: first.imageId, platform: first.platform, children, blobs }
}

/**
 * Pushes over the distribution API, blobs first and children before their index; without a tag,
 * by digest alone.
 */
export async function pushImage(
  baseUrl: string,
  repository: string,
  tag: string | undefined,
  image: TestImage,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  for (const blob of image.blobs) await pushBlob(baseUrl, repository, blob, headers)
  await pushManifests(baseUrl, repository, tag, image, headers)
}

async function pushManifests(
  baseUrl: string,
  repository: string,
  tag: string | undefined,
  image: TestImage,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  for (const child of image.children) {
    await pushManifests(baseUrl, repository, undefined, child, headers)
  }
  const response = await fetch(
    new URL(`/v2/${repository}/manifests/${tag ?? image.digest}`, baseUrl),
    {
      method: 'PUT',
      headers: { ...headers, 'content-type': image.mediaType },
      body: new Uint8Array(image.bytes),
    },
  )
  await expectStatus(response, 201)
}

async function pushBlob(
  baseUrl: string,
  repository: string,
  blob: Content,
  headers: Readonly<Record<string, string>>,
): Promise<void> {
  const start = new URL(`/v2/${repository}/blobs/uploads/`, baseUrl)
  const opened = await fetch(start, { method: 'POST', headers })
  await expectStatus(opened, 202)
  const location = new URL(opened.headers.get('location') ?? '', start)
  location.searchParams.set('digest', blob.digest)
  const stored = await fetch(location, {
    method: 'PUT',
    headers: { ...headers, 'content-type': 'application/octet-stream' },
    body: new Uint8Array(blob.bytes),
  })
  await expectStatus(stored, 201)
}

async function expectStatus(response: Response, status: number): Promise<void> {
  const text = await response.text()
  if (response.status !== status) {
    throw new Error(`${response.url}: ${response.status}, not ${status}: ${text.slice(0, 500)}`)
  }
}
