import { requestedImage } from '../../src/cri/image-messages.ts'
import { readString, withBytes, withString } from '../../src/cri/wire.ts'
import { type FakeRuntime, respond, respondStatus, startFakeRuntime } from './fake-runtime.ts'
import { digestOf } from './images.ts'
import type { Cleanup } from './stack.ts'

const IMAGES = '/runtime.v1.ImageService'
const NOTHING = Buffer.alloc(0)
const NOT_FOUND = 5
const INTERNAL = 13

/** A runtime that has every image that it is asked for, and remembers what it said and heard. */
export interface RecordingRuntime {
  readonly fake: FakeRuntime
  /** The IDs that it gave, and for which name each. */
  readonly given: ReadonlyMap<string, string>
  /** What RemoveImage was called with, in order. */
  readonly removed: readonly string[]
  /** PullImage requests on the wire, in order. */
  readonly pulled: readonly Buffer[]
  forget(): void
}

/** @param table whether it lets names be given, as containerd does */
export async function startRecordingRuntime(
  t: Cleanup,
  path: string,
  { table }: { readonly table: boolean },
): Promise<RecordingRuntime> {
  const fake = await startFakeRuntime(t, path)
  const given = new Map<string, string>()
  const removed: string[] = []
  const pulled: Buffer[] = []

  function answer(rpc: string, make: (request: Buffer) => Uint8Array): void {
    fake.handle(`${IMAGES}/${rpc}`, async ({ stream, request }) => {
      // It would keep all calls to the end.
      fake.calls.length = 0
      const answered = await request
        .then(([message = NOTHING]) => Buffer.from(make(message)))
        .catch(() => undefined)
      if (stream.destroyed) return
      if (answered === undefined) respondStatus(stream, INTERNAL, 'that is no message')
      else respond(stream, [answered])
    })
  }

  answer('ImageStatus', (request) => {
    const name = requestedImage(request)
    if (name === '') return NOTHING
    const id = digestOf(name)
    given.set(id, name)
    const image = withString(withString(NOTHING, 1, id), 2, name)
    return withBytes(NOTHING, 1, image)
  })
  answer('RemoveImage', (request) => {
    removed.push(requestedImage(request))
    return NOTHING
  })
  answer('PullImage', (request) => {
    pulled.push(request)
    return withString(NOTHING, 1, digestOf(readString(request, 1)))
  })
  answer('ListImages', () => NOTHING)
  fake.handle('/runtime.v1.RuntimeService/Version', ({ stream }) => respond(stream, [NOTHING]))
  if (table) {
    fake.handle('/containerd.services.images.v1.Images/Get', ({ stream }) =>
      respondStatus(stream, NOT_FOUND, 'not found'),
    )
  }
  return {
    fake,
    given,
    removed,
    pulled,
    forget: () => {
      given.clear()
      removed.length = 0
      pulled.length = 0
    },
  }
}
