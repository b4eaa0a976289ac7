import type { TestContext } from 'node:test'
import { readMessage, readString } from '../../../src/cri/wire.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import type { CriNode } from './node.ts'
import { message, messagesIn, NOTHING } from './wire.ts'

const RUNTIME = '/runtime.v1.RuntimeService'
/** What Debian's containerd runs a pod with. */
const PAUSE = 'registry.k8s.io/pause:3.6'
/** NamespaceOption.network = NODE: no CNI is needed. */
const HOST_NETWORK = Buffer.from([0x08, 0x02])

/** A container as CRI tells of it: what was asked for, what it is pinned to, and the image's ID. */
export interface ShownContainer {
  readonly image: string
  readonly imageRef: string
  /** '' from runtimes of before CRI 0.30. */
  readonly imageId: string
}

export interface RunningContainer {
  readonly id: string
  readonly pod: string
}

let pods = 0

/** A running container, as the kubelet makes one after a pull. Both are gone after the test. */
export async function startContainer(
  t: TestContext,
  node: CriNode,
  imageRef: string,
  userSpecifiedImage: string,
): Promise<RunningContainer> {
  await havePause(node)
  pods += 1
  const metadata = message([1, `pod-${pods}`], [2, `uid-${pods}`], [3, 'default'])
  const security = message([1, HOST_NETWORK])
  const config = message([1, metadata], [3, node.stateFolder], [8, message([2, security])])
  const call = async (rpc: string, request: Buffer) =>
    (await node.kubelet.raw(`${RUNTIME}/${rpc}`, request)).response
  const pod = readString(await call('RunPodSandbox', message([1, config])), 1)
  t.after(async () => {
    await call('StopPodSandbox', message([1, pod]))
    await call('RemovePodSandbox', message([1, pod]))
  })
  const image = message([1, imageRef], [18, userSpecifiedImage])
  const container = message([1, message([1, 'main'])], [2, image])
  const request = message([1, pod], [2, container], [3, config])
  const id = readString(await call('CreateContainer', request), 1)
  await call('StartContainer', message([1, id]))
  return { id, pod }
}

export async function containerStatus(
  { kubelet }: CriNode,
  { id }: RunningContainer,
): Promise<ShownContainer> {
  const { response } = await kubelet.raw(`${RUNTIME}/ContainerStatus`, message([1, id]))
  return status(readMessage(response, 1) ?? NOTHING)
}

export async function listContainers({ kubelet }: CriNode): Promise<readonly ShownContainer[]> {
  const { response } = await kubelet.raw(`${RUNTIME}/ListContainers`, NOTHING)
  return messagesIn(response, 1).map(listed)
}

/** Of all calls that tell of containers, the one container there is. */
export async function everyView(
  t: TestContext,
  node: CriNode,
  { pod }: RunningContainer,
): Promise<Readonly<Record<string, ShownContainer | undefined>>> {
  const client = openGrpcClient(t, node.socketPath)
  const ask = async (rpc: string, request: Buffer, field: number) => {
    const { messages } = await client.call(`${RUNTIME}/${rpc}`, [request])
    return messages.flatMap((each) => messagesIn(each, field))
  }
  const statuses = async (rpc: string, field: number) =>
    (await ask(rpc, message([1, pod]), field)).map(status)[0]
  return {
    PodSandboxStatus: await statuses('PodSandboxStatus', 3),
    GetContainerEvents: await statuses('GetContainerEvents', 5),
    StreamContainers: (await ask('StreamContainers', NOTHING, 1)).map(listed)[0],
  }
}

function status(bytes: Uint8Array): ShownContainer {
  return shown(bytes, 8, 9, 17)
}

function listed(bytes: Uint8Array): ShownContainer {
  return shown(bytes, 4, 5, 10)
}

function shown(bytes: Uint8Array, image: number, imageRef: number, imageId: number) {
  return {
    image: readString(readMessage(bytes, image) ?? NOTHING, 1),
    imageRef: readString(bytes, imageRef),
    imageId: readString(bytes, imageId),
  }
}

/** containerd pulls that image itself, past us, where it has to. */
async function havePause(node: CriNode): Promise<void> {
  const { containerd, direct, origin } = node
  if (containerd === undefined || (await direct.imageStatus(PAUSE)) !== undefined) return
  const { path } = await node.publish({ domain: origin.host })
  const name = `${origin.host}/${path}:1`
  await direct.pullImage(name)
  await containerd.ctr('images', 'tag', name, PAUSE)
  const end = performance.now() + 5_000
  while ((await direct.imageStatus(PAUSE)) === undefined) {
    if (performance.now() > end) throw new Error('containerd does not show the image of pods')
  }
}
