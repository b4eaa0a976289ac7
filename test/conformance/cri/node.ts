import { join } from 'node:path'
import { type Containerd, startContainerd } from '../../support/containerd.ts'
import { criClient, type TestCriClient } from '../../support/cri-client.ts'
import { type Daemon, startDaemon } from '../../support/daemon.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { respondStatus } from '../../support/fake-runtime.ts'
import {
  CRI_DOCKERD,
  CRI_O,
  type ImageRuntime,
  type RuntimeProfile,
  startImageRuntime,
} from '../../support/image-runtime.ts'
import { buildImage, type TestImage } from '../../support/images.ts'
import { type RegistryProxy, startRegistryProxy } from '../../support/registry-proxy.ts'
import { type Cleanup, temporaryFolder } from '../../support/stack.ts'
import { scriptContainers } from './containers.ts'
import { RUN } from './executable.ts'

/** `scripted` keeps names as containerd does, and is there for what only a script can show. */
export type RuntimeName = 'containerd' | 'crio-like' | 'dockerd-like' | 'scripted'

/** Three ways to one registry, each of which can be broken. */
export interface Places {
  /** URL of that registry. */
  readonly behind: string
  /** Priority 1000. */
  readonly m1: RegistryProxy
  /** Priority 500. */
  readonly m2: RegistryProxy
  /** Nobody is configured for it; names spell it out. */
  readonly origin: RegistryProxy
}

/** One image in the registry, as the kubelet would ask for it. */
export interface Published {
  /** `i7:1`, or `HOST/library/i7:1`. */
  readonly name: string
  /** `docker.io/library/i7:1` */
  readonly full: string
  /** `docker.io/library/i7` */
  readonly repository: string
  /** `library/i7` */
  readonly path: string
  readonly image: TestImage
}

export interface PublishOptions {
  /** Default library. */
  readonly folder?: string
  /** Default docker.io. */
  readonly domain?: string
  /** Default a new one. */
  readonly image?: TestImage
}

/** A kubelet's client, our service, a runtime, and registries; the same for every runtime. */
export interface CriNode extends Places {
  readonly name: RuntimeName
  readonly daemon: Daemon
  /** Through our socket. */
  readonly kubelet: TestCriClient
  /** Past us, at the runtime's own socket. */
  readonly direct: TestCriClient
  /** Undefined for containerd. */
  readonly scripted: ImageRuntime | undefined
  readonly containerd: Containerd | undefined
  /** What this runtime calls an image. */
  idOf(image: TestImage): string
  newImage(seed?: string): TestImage
  publish(options?: PublishOptions): Promise<Published>
  /** What a tag of that repository leads to from now on; default 1. */
  push(path: string, image: TestImage, tag?: string): void
  /** Images of all PullImage requests that reached the runtime. */
  pulls(): readonly string[]
  /** All that reached any registry. */
  requests(): readonly string[]
  /** No registry is to be reached. */
  refuseAll(): Promise<void>
  acceptAll(): Promise<void>
  stopRuntime(): Promise<void>
  startRuntime(): Promise<void>
  /** GET on our HTTP API. */
  get(path: string): Promise<{ readonly status: number; readonly body: string }>
  /** Our socket. */
  readonly socketPath: string
  readonly runtimeSocket: string
  /** Where our service keeps what outlives it. */
  readonly stateFolder: string
}

/** A configuration, as far as it is not m1 before m2. */
export type Configure = (
  places: Places,
  runtimeSocket: string,
  t: Cleanup,
) => object | Promise<object>

type Runtime = Pick<
  CriNode,
  'scripted' | 'containerd' | 'idOf' | 'pulls' | 'stopRuntime' | 'startRuntime' | 'runtimeSocket'
>

const PROFILES: Readonly<Record<Exclude<RuntimeName, 'containerd'>, RuntimeProfile>> = {
  'crio-like': CRI_O,
  'dockerd-like': CRI_DOCKERD,
  scripted: CRI_O,
}

const NAMES = '/containerd.services.images.v1.Images/Get'

let images = 0

export async function startCriNode(
  t: Cleanup,
  name: RuntimeName,
  configure: Configure = () => ({}),
): Promise<CriNode> {
  const registry = await FakeRegistry.start(t)
  const runtime = await startRuntime(t, name)
  const [m1, m2, origin] = await Promise.all([
    startRegistryProxy(t, registry.url),
    startRegistryProxy(t, registry.url),
    startRegistryProxy(t, registry.url),
  ])
  const places = { m1, m2, origin, behind: registry.url }
  const all = [m1, m2, origin]
  const daemon = await startDaemon(t, {
    cri: runtime.runtimeSocket,
    config: {
      address: m1.url,
      registries: [{ address: m2.url, priority: 500 }],
      ...(await configure(places, runtime.runtimeSocket, t)),
    },
  })
  const { socketPath } = daemon
  const newImage = (seed = ''): TestImage => {
    images += 1
    return buildImage({ seed: `${images} ${seed}`, ...RUN })
  }
  const push = (path: string, image: TestImage, tag = '1') => registry.put(path, tag, image)
  return {
    ...runtime,
    ...places,
    name,
    daemon,
    socketPath,
    stateFolder: join(socketPath, '../../state'),
    kubelet: criClient(t, socketPath),
    direct: criClient(t, runtime.runtimeSocket),
    newImage,
    push,
    publish: async ({ domain = 'docker.io', folder = 'library', image = newImage() } = {}) => {
      images += 1
      const path = `${folder}/i${images}`
      push(path, image)
      const repository = `${domain}/${path}`
      const full = `${repository}:1`
      return { path, image, repository, full, name: full.replace('docker.io/library/', '') }
    },
    requests: () =>
      all.flatMap((proxy) => proxy.requests.map(({ method, path }) => `${method} ${path}`)),
    refuseAll: async () => {
      await Promise.all(all.map((proxy) => proxy.refuse()))
    },
    acceptAll: async () => {
      await Promise.all(all.map((proxy) => proxy.accept()))
    },
    get: async (path) => {
      const response = await fetch(new URL(path, daemon.httpUrl()))
      return { status: response.status, body: await response.text() }
    },
  }
}

async function startRuntime(t: Cleanup, name: RuntimeName): Promise<Runtime> {
  if (name === 'containerd') {
    const containerd = await startContainerd(t)
    return {
      containerd,
      scripted: undefined,
      runtimeSocket: containerd.socketPath,
      idOf: ({ imageId }) => imageId,
      pulls: () => pullsIn(containerd.log()),
      stopRuntime: containerd.kill,
      startRuntime: containerd.start,
    }
  }
  const profile = PROFILES[name]
  const runtime = await startImageRuntime(t, join(temporaryFolder(t), 'runtime.sock'), profile)
  scriptContainers(runtime, name === 'crio-like')
  const { fake } = runtime
  if (name === 'scripted') {
    // No such name: it has containerd's table of them.
    fake.handle(NAMES, ({ stream }) => respondStatus(stream, 5, 'not found'))
  }
  return {
    containerd: undefined,
    scripted: runtime,
    runtimeSocket: fake.path,
    idOf: ({ imageId }) => profile.id(imageId.replace('sha256:', '')),
    pulls: () => runtime.pulls,
    stopRuntime: () => fake.stop(),
    startRuntime: () => fake.start(),
  }
}

function pullsIn(log: string): readonly string[] {
  return [...log.matchAll(/msg="PullImage \\"([^"\\]+)\\""/g)].map(([, image = '']) => image)
}
