import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { status as Code } from '@grpc/grpc-js'
import { readMessage, readString } from '../../../src/cri/wire.ts'
import { isRuntimeError } from '../../../src/runtime/call.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import type { CriNode } from './node.ts'
import { message, messagesIn, NOTHING } from './wire.ts'

const RUNTIME = '/runtime.v1.RuntimeService'
const EVENT_LIMIT_MS = 60_000
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
  { kubelet }: Pick<CriNode, 'kubelet'>,
  { id }: RunningContainer,
): Promise<ShownContainer> {
  const { response } = await kubelet.raw(`${RUNTIME}/ContainerStatus`, message([1, id]))
  return status(readMessage(response, 1) ?? NOTHING)
}

export async function listContainers({ kubelet }: CriNode): Promise<readonly ShownContainer[]> {
  const { response } = await kubelet.raw(`${RUNTIME}/ListContainers`, NOTHING)
  return messagesIn(response, 1).map(listed)
}

/** What of CRI not every runtime has; containerd has events since 1.7, streamed lists since 2.4. */
type Optional = 'GetContainerEvents' | 'StreamContainers'

/** A container in the events that come from now on. */
export interface ContainerEvents {
  /** The first event about it; undefined where the runtime has no events, as it says itself. */
  first(container: RunningContainer): Promise<ShownContainer | undefined>
}

/** Events of all containers from now on; containerd 2 keeps none for a caller who comes later. */
export function watchEvents(t: TestContext, node: CriNode): ContainerEvents {
  const path = `${RUNTIME}/GetContainerEvents`
  const asIs = (bytes: Buffer): Buffer => bytes
  const deadline = Date.now() + EVENT_LIMIT_MS
  const { client } = node.kubelet
  const stream = client.makeServerStreamRequest(path, asIs, asIs, NOTHING, { deadline })
  t.after(() => stream.cancel())
  // For those who never ask for one.
  stream.on('error', () => {})
  return {
    first: async ({ id }) => {
      try {
        for await (const event of stream) {
          const found = messagesIn(event, 5).find((each) => readString(each, 1) === id)
          if (found !== undefined) return status(found)
        }
      } catch (error) {
        if (!isRuntimeError(error) || error.code !== Code.UNIMPLEMENTED) throw error
        assert.equal(await codeAt(t, node, 'GetContainerEvents'), Code.UNIMPLEMENTED)
      }
      return undefined
    },
  }
}

export async function podStatus(
  { kubelet }: CriNode,
  { pod }: RunningContainer,
): Promise<ShownContainer | undefined> {
  const { response } = await kubelet.raw(`${RUNTIME}/PodSandboxStatus`, message([1, pod]))
  return messagesIn(response, 3).map(status)[0]
}

/** @returns undefined where the runtime has no streamed lists, as it says itself */
export async function streamContainers(
  t: TestContext,
  node: CriNode,
): Promise<readonly ShownContainer[] | undefined> {
  const client = openGrpcClient(t, node.socketPath)
  const { code, messages } = await client.call(`${RUNTIME}/StreamContainers`, [NOTHING])
  if (code === 0) return messages.flatMap((each) => messagesIn(each, 1)).map(listed)
  assert.equal(code, await codeAt(t, node, 'StreamContainers'))
  return undefined
}

/** Of the runtime itself. */
async function codeAt(t: TestContext, node: CriNode, rpc: Optional): Promise<number | undefined> {
  return (await openGrpcClient(t, node.runtimeSocket).call(`${RUNTIME}/${rpc}`, [NOTHING])).code
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
  if (containerd === undefined) return
  const sandboxImage = await containerd.sandboxImage()
  if ((await direct.imageStatus(sandboxImage)) !== undefined) return
  const { path } = await node.publish({ domain: origin.host })
  const name = `${origin.host}/${path}:1`
  await direct.pullImage(name)
  await containerd.ctr('images', 'tag', name, sandboxImage)
  const end = performance.now() + 60_000
  while ((await direct.imageStatus(sandboxImage)) === undefined) {
    if (performance.now() > end) throw new Error('containerd does not show the image of pods')
  }
}
