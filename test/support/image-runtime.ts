import { createHash } from 'node:crypto'
import { type AuthConfig, requestedAuth } from '../../src/cri/image-messages.ts'
import { readMessage, readString } from '../../src/cri/wire.ts'
import {
  dockerRef,
  familiarReference,
  formatReference,
  isImageId,
  parseReference,
  repositoryName,
} from '../../src/reference/reference.ts'
import { loadService } from '../../src/runtime/protos.ts'
import {
  type FakeRuntime,
  type RuntimeCall,
  respond,
  respondStatus,
  startFakeRuntime,
} from './fake-runtime.ts'
import type { Cleanup } from './stack.ts'

/** How a runtime without containerd's table of names differs from the others. */
export interface RuntimeProfile {
  readonly name: string
  /** From 64 hexadecimal digits. */
  readonly id: (hex: string) => string
  /** What PullImage answers with. */
  readonly pullAnswers: 'id' | 'digest'
  readonly removeByName: 'untags' | 'does nothing'
  /** Docker Hub's names in their short form. */
  readonly familiar: boolean
  /** A pull that failed is tried once more, for an artifact: CRI-O since 1.31. */
  readonly takesArtifacts: boolean
}

export const CRI_O: RuntimeProfile = {
  name: 'cri-o',
  id: (hex) => hex,
  pullAnswers: 'id',
  removeByName: 'untags',
  familiar: false,
  takesArtifacts: true,
}
/** Before 1.35. */
export const OLD_CRI_O: RuntimeProfile = { ...CRI_O, pullAnswers: 'digest' }
export const CRI_DOCKERD: RuntimeProfile = {
  name: 'docker',
  id: (hex) => `sha256:${hex}`,
  pullAnswers: 'digest',
  removeByName: 'does nothing',
  familiar: true,
  takesArtifacts: false,
}

export interface StoredImage {
  readonly id: string
  /** Names with a tag, or with a digest when it was pulled by that. */
  readonly names: Set<string>
  /** Of the index and of the platform's manifest. */
  readonly digests: Set<string>
}

/**
 * A runtime with images that it pulls from real registries over HTTP, and without a service for
 * their names: CRI-O or cri-dockerd, as far as images go.
 */
export interface ImageRuntime {
  readonly fake: FakeRuntime
  readonly images: Map<string, StoredImage>
  /** PullImage requests so far, by the image that was named. */
  readonly pulls: string[]
  /**
   * Hosts that have to speak TLS. All others are as with `insecure = true` in registries.conf: http
   * is tried after https. CRI-O's own `insecure_registries` says nothing about this.
   */
  readonly secureOnly: Set<string>
  /** As with podman or docker on the node. */
  pull(image: string): Promise<StoredImage>
  remove(id: string): void
  /** What the runtime itself shows. */
  shown(image: StoredImage): { readonly repoTags: string[]; readonly repoDigests: string[] }
}

const IMAGES = '/runtime.v1.ImageService'
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

const IMAGE_CONFIGS: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]

export async function startImageRuntime(
  t: Cleanup,
  path: string,
  profile: RuntimeProfile,
): Promise<ImageRuntime> {
  const fake = await startFakeRuntime(t, path)
  const images = new Map<string, StoredImage>()
  const pulls: string[] = []
  const secureOnly = new Set<string>()
  const service = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')
  const version = loadService('runtime/v1/image.proto', 'runtime.v1.RuntimeService')

  function shown({ names, digests }: StoredImage) {
    const spell = (name: string) =>
      profile.familiar ? familiarReference(parseReference(name)) : name
    const repositories = new Set([...names].map((name) => repositoryName(parseReference(name))))
    return {
      repoTags: [...names].filter((name) => !name.includes('@')).map(spell),
      repoDigests: [...repositories].flatMap((repository) =>
        [...digests].map((digest) => spell(`${repository}@${digest}`)),
      ),
    }
  }

  function find(text: string): StoredImage | undefined {
    const hex = profile.familiar ? text.replace(/^sha256:/, '') : text
    const byId = [...images.values()].filter(({ id }) => id.replace('sha256:', '').startsWith(hex))
    if (/^[0-9a-f]{3,64}$/.test(hex) && byId.length === 1) return byId[0]
    if (isImageId(text)) return undefined
    const name = formatReference(dockerRef(parseReference(text)))
    const [repository, digest] = name.split('@')
    return [...images.values()].find(
      ({ names, digests }) =>
        names.has(name) ||
        (digest !== undefined &&
          digests.has(digest) &&
          [...names].some((each) => repositoryName(parseReference(each)) === repository)),
    )
  }

  async function fetchFrom(
    name: string,
    { domain, path, tag = '' }: { domain: string; path: string; tag: string | undefined },
    credentials: FetchHeaders,
  ): Promise<Fetched> {
    const isInsecure = !secureOnly.has(domain)
    try {
      return await fetchImage(await openRegistry(domain, isInsecure, credentials), path, tag)
    } catch (error) {
      if (!profile.takesArtifacts) throw error
      const source = `initializing source docker://${name}: ${messageOf(error)}`
      try {
        return await fetchArtifact(await openRegistry(domain, isInsecure, credentials), path, tag)
      } catch (again) {
        const both = `pull image err: ${source}; artifact err: ${messageOf(again)}`
        throw new Error(`unable to pull image or OCI artifact: ${both}`, { cause: again })
      }
    }
  }

  async function pull(text: string, credentials: FetchHeaders = {}): Promise<StoredImage> {
    const reference = dockerRef(parseReference(text))
    const name = formatReference(reference)
    const { digest, domain, path, tag } = reference
    const found = await fetchFrom(name, { domain, path, tag: digest ?? tag }, credentials)
    const digests = profile.familiar ? found.digests.slice(0, 1) : found.digests
    const id = profile.id(found.hex)
    for (const other of images.values()) other.names.delete(name)
    const image = images.get(id) ?? { id, names: new Set(), digests: new Set() }
    for (const digest of digests) image.digests.add(digest)
    images.set(id, image)
    image.names.add(name)
    return image
  }

  function remove(text: string): void {
    const image = find(text)
    if (image === undefined) return
    const isId = image.id.replace('sha256:', '').startsWith(text.replace('sha256:', ''))
    if (isId) images.delete(image.id)
    else if (profile.removeByName === 'untags') {
      image.names.delete(formatReference(dockerRef(parseReference(text))))
      if (image.names.size === 0) images.delete(image.id)
    }
  }

  const message = (image: StoredImage) => ({ id: image.id, ...shown(image), size: '1000' })
  const answers: Record<string, (request: Buffer) => object | Promise<object>> = {
    ImageStatus: (request) => {
      const image = find(imageIn(request))
      return image === undefined ? {} : { image: message(image) }
    },
    ListImages: (request) => {
      const filter = imageIn(readMessage(request, 1) ?? Buffer.alloc(0))
      const all = [...images.values()]
      const listed = filter === '' ? all : all.filter((image) => image === find(filter))
      return { images: listed.map(message) }
    },
    PullImage: async (request) => {
      pulls.push(imageIn(request))
      const image = await pull(imageIn(request), toHeaders(requestedAuth(request)))
      const byDigest = shown(image).repoDigests[0] ?? image.id
      return { imageRef: profile.pullAnswers === 'id' ? image.id : byDigest }
    },
    RemoveImage: (request) => {
      remove(imageIn(request))
      return {}
    },
  }
  for (const [rpc, answer] of Object.entries(answers)) {
    fake.handle(`${IMAGES}/${rpc}`, async (call) => {
      const [request = Buffer.alloc(0)] = await call.request
      await answerWith(call, async () => service[rpc]?.responseSerialize(await answer(request)))
    })
  }
  fake.handle('/runtime.v1.RuntimeService/Version', (call) =>
    answerWith(call, async () =>
      version['Version']?.responseSerialize({
        version: '0.1.0',
        runtimeName: profile.name,
        runtimeVersion: '1',
        runtimeApiVersion: 'v1',
      }),
    ),
  )
  return { fake, images, pulls, secureOnly, pull, remove, shown }
}

async function answerWith(
  { stream }: RuntimeCall,
  make: () => Promise<Buffer | undefined>,
): Promise<void> {
  try {
    const answer = await make()
    respond(stream, [answer ?? Buffer.alloc(0)])
  } catch (error) {
    if (!stream.destroyed) respondStatus(stream, 2, messageOf(error))
  }
}

function imageIn(message: Uint8Array): string {
  return readString(readMessage(message, 1) ?? new Uint8Array(), 1)
}

interface Fetched {
  /** What the image's ID is made of. */
  readonly hex: string
  readonly digests: readonly string[]
}

type FetchHeaders = Readonly<Record<string, string>>

function toHeaders(auth: AuthConfig | undefined): FetchHeaders {
  if (auth === undefined) return {}
  const pair = Buffer.from(`${auth.username}:${auth.password}`)
  return { authorization: `Basic ${pair.toString('base64')}` }
}

/** A registry as the ping left it: how it is spoken to, and with which credentials. */
interface OpenRegistry {
  readonly url: string
  readonly headers: FetchHeaders
}

/**
 * As containers/image and Docker begin: `GET /v2/`, by https first. Credentials go to a registry that
 * has asked for them there, and to no other.
 */
async function openRegistry(
  domain: string,
  isInsecure: boolean,
  credentials: FetchHeaders,
): Promise<OpenRegistry> {
  const ping = async (scheme: string) => {
    const url = `${scheme}://${domain}`
    const { ok, status, headers } = await ask(`${url}/v2/`, {})
    if (!ok && status !== 401) throw new Error(`received unexpected HTTP status: ${status}`)
    return { url, headers: headers.has('www-authenticate') ? credentials : {} }
  }
  try {
    return await ping('https').catch((error: unknown) => {
      if (!isInsecure) throw error
      return ping('http')
    })
  } catch (error) {
    const text = `pinging container registry ${domain}: ${messageOf(error)}`
    throw new Error(text, { cause: error })
  }
}

async function fetchImage(
  registry: OpenRegistry,
  path: string,
  reference: string,
): Promise<Fetched> {
  const { digest, manifest } = await fetchManifest(registry, path, reference)
  const { config, manifests = [] } = manifest
  if (config !== undefined) {
    if (!IMAGE_CONFIGS.includes(config.mediaType)) {
      throw new Error('unsupported image-specific operation on artifact')
    }
    return { hex: hexOf(config.digest), digests: [digest] }
  }
  const [first] = manifests
  if (first === undefined) throw new Error('no image found in manifest list')
  const child = await fetchImage(registry, path, first.digest)
  return { ...child, digests: [digest, ...child.digests] }
}

/** Its ID is made of the digest of its manifest. */
async function fetchArtifact(
  registry: OpenRegistry,
  path: string,
  reference: string,
): Promise<Fetched> {
  const { digest, manifest } = await fetchManifest(registry, path, reference)
  const { config } = manifest
  if (config === undefined || IMAGE_CONFIGS.includes(config.mediaType)) {
    throw new Error('reference is a container image, not an OCI artifact')
  }
  return { hex: hexOf(digest), digests: [digest] }
}

async function fetchManifest({ url, headers }: OpenRegistry, path: string, reference: string) {
  const response = await ask(`${url}/v2/${path}/manifests/${reference}`, {
    accept: ACCEPT,
    ...headers,
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  if (!response.ok) throw new Error(`reading manifest ${reference} in ${path}: ${response.status}`)
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  return { digest, manifest: JSON.parse(bytes.toString()) as Manifest }
}

interface Manifest {
  readonly config?: { readonly mediaType: string; readonly digest: string }
  readonly manifests?: readonly { readonly digest: string }[]
}

const hexOf = (digest: string): string => digest.replace('sha256:', '')

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

/** A pooled connection may be of a registry that another test has ended; its port is given out anew. */
async function ask(url: string, headers: FetchHeaders): Promise<Response> {
  try {
    return await fetch(url, { headers })
  } catch {
    return fetch(url, { headers })
  }
}
