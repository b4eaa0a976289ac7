import type { ServerHttp2Stream } from 'node:http2'
import { readMessage, readString } from '../../../src/cri/wire.ts'
import { loadService } from '../../../src/runtime/protos.ts'
import { type RuntimeCall, respond } from '../../support/fake-runtime.ts'
import { framed } from '../../support/grpc-frames.ts'
import type { ImageRuntime, StoredImage } from '../../support/image-runtime.ts'
import { message, NOTHING } from './wire.ts'

const RUNTIME = '/runtime.v1.RuntimeService'
const IMAGES = '/runtime.v1.ImageService'

interface ScriptedContainer {
  readonly id: string
  readonly pod: string
  /** What was asked for, the runtime's ID as a rule. */
  readonly asked: string
}

/** ContainerEventType: CONTAINER_CREATED_EVENT is 0, which is not written. */
const STARTED = 1

/**
 * Containers as CRI-O and cri-dockerd tell of them, in the names of the runtime's own images, the
 * streamed lists, and events, which end with the connection.
 *
 * @param hasImageId as runtimes since CRI 0.30: `image_id` is there, and `image_ref` has a digest
 */
export function scriptContainers(runtime: ImageRuntime, hasImageId: boolean): void {
  const containers: ScriptedContainer[] = []
  const { fake, images, shown } = runtime
  const imageOf = ({ asked }: ScriptedContainer) => images.get(asked)

  function status(container: ScriptedContainer): Buffer {
    const image = imageOf(container)
    const { repoTags, repoDigests } = namesOf(image)
    return message(
      [1, container.id],
      [8, message([1, repoTags[0] ?? repoDigests[0] ?? container.asked])],
      [9, repoDigests[0] ?? container.asked],
      ...(hasImageId ? [[17, image?.id ?? ''] as const] : []),
    )
  }
  function listed(container: ScriptedContainer): Buffer {
    const { repoDigests } = namesOf(imageOf(container))
    const { asked, id, pod } = container
    return message(
      [1, id],
      [2, pod],
      [4, message([1, asked])],
      [5, hasImageId ? (repoDigests[0] ?? asked) : asked],
      ...(hasImageId ? [[10, asked] as const] : []),
    )
  }
  const namesOf = (image: StoredImage | undefined) =>
    image === undefined ? { repoTags: [], repoDigests: [] } : shown(image)
  const inPod = (request: Buffer) => {
    const pod = readString(request, 1)
    return containers.filter((container) => container.pod === pod)
  }
  const unseen: Buffer[] = []
  let isWatched = false
  const watching = new Set<ServerHttp2Stream>()
  function tell(container: ScriptedContainer, type?: number): void {
    const event = Buffer.concat([
      message([1, container.id], [4, message([1, container.pod])], [5, status(container)]),
      type === undefined ? NOTHING : Buffer.from([2 << 3, type]),
    ])
    if (!isWatched) unseen.push(event)
    for (const stream of watching) stream.write(framed(event))
  }

  let pods = 0
  let created = 0
  const answers: Readonly<Record<string, (request: Buffer) => readonly Buffer[]>> = {
    RunPodSandbox: () => {
      pods += 1
      return [message([1, `pod-${pods}`])]
    },
    StopPodSandbox: () => [NOTHING],
    RemovePodSandbox: (request) => {
      for (const gone of inPod(request)) containers.splice(containers.indexOf(gone), 1)
      return [NOTHING]
    },
    CreateContainer: (request) => {
      const config = readMessage(request, 2) ?? NOTHING
      const asked = readString(readMessage(config, 2) ?? NOTHING, 1)
      created += 1
      const container = { id: `container-${created}`, pod: readString(request, 1), asked }
      containers.push(container)
      tell(container)
      return [message([1, container.id])]
    },
    StartContainer: (request) => {
      for (const each of containers) if (each.id === readString(request, 1)) tell(each, STARTED)
      return [NOTHING]
    },
    ContainerStatus: (request) => {
      const found = containers.filter(({ id }) => id === readString(request, 1))
      return [message(...found.map((each) => [1, status(each)] as const))]
    },
    PodSandboxStatus: (request) => [
      message(...inPod(request).map((each) => [3, status(each)] as const)),
    ],
    ListContainers: () => [message(...containers.map((each) => [1, listed(each)] as const))],
    StreamContainers: () => containers.map((each) => message([1, listed(each)])),
  }
  for (const [rpc, answer] of Object.entries(answers)) {
    fake.handle(`${RUNTIME}/${rpc}`, (call) => answerWith(call, answer))
  }
  // CRI-O keeps events for the first caller, none later, and ends no stream of them.
  fake.handle(`${RUNTIME}/GetContainerEvents`, ({ stream }) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    isWatched = true
    stream.write(framed(...unseen.splice(0)))
    watching.add(stream)
    stream.on('close', () => watching.delete(stream))
  })
  const list = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')['ListImages']
  fake.handle(`${IMAGES}/StreamImages`, (call) =>
    answerWith(call, () =>
      [...images.values()].flatMap((image) => {
        const one = { id: image.id, ...shown(image), size: '1000' }
        return list?.responseSerialize({ images: [one] }) ?? []
      }),
    ),
  )
  fake.handle(`${IMAGES}/ImageFsInfo`, (call) => answerWith(call, () => [NOTHING]))
}

async function answerWith(
  call: RuntimeCall,
  answer: (request: Buffer) => readonly Buffer[],
): Promise<void> {
  const [request = NOTHING] = await call.request
  respond(call.stream, answer(request))
}
