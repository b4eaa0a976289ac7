import { fileURLToPath } from 'node:url'
import { FakeRuntime, respond, respondStatus } from '../../test/support/fake-runtime.ts'
import { digestOf } from '../../test/support/images.ts'
import { field, IMAGES_HEADER, OUTPUT_HEADER, text } from '../cri/calls.ts'

// A runtime by script, in a process of its own: `scripted-runtime.ts SOCKET`. It has containerd's table
// of names, empty, so that nothing needs to be rewritten, and answers from bytes made before.

export const SCRIPTED_RUNTIME = fileURLToPath(import.meta.url)

const NOT_FOUND = 5
const STDOUT = 1

if (process.argv[1] === SCRIPTED_RUNTIME) {
  const lists = new Map<number, Buffer>()
  const outputs = new Map<number, Buffer>()
  const image = imageMessage(0)
  const version = Buffer.concat([
    text(1, '0.1.0'),
    text(2, 'scripted'),
    text(3, '1'),
    text(4, 'v1'),
  ])
  const runtime = new FakeRuntime(process.argv[2] ?? '')
  const answer = (path: string, answerFor: (headers: Headers) => Buffer): void => {
    runtime.handle(path, ({ headers, stream }) => {
      // It would keep all calls to the end.
      runtime.calls.length = 0
      respond(stream, [answerFor(headers)])
    })
  }
  answer('/runtime.v1.RuntimeService/Version', () => version)
  answer('/runtime.v1.ImageService/ImageStatus', () => field(1, image))
  answer('/runtime.v1.ImageService/ListImages', (headers) => {
    const count = Number(headers[IMAGES_HEADER] ?? 1)
    return remembered(lists, count, listOf)
  })
  answer('/runtime.v1.RuntimeService/ExecSync', (headers) => {
    const bytes = Number(headers[OUTPUT_HEADER] ?? 0)
    return remembered(outputs, bytes, () => field(STDOUT, Buffer.alloc(bytes, 'x')))
  })
  runtime.handle('/containerd.services.images.v1.Images/Get', ({ stream }) =>
    respondStatus(stream, NOT_FOUND, 'not found'),
  )
  await runtime.start()
  process.stdout.write('"ready"\n')
}

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>

function remembered(
  known: Map<number, Buffer>,
  key: number,
  make: (key: number) => Buffer,
): Buffer {
  const value = known.get(key) ?? make(key)
  known.set(key, value)
  return value
}

function listOf(count: number): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, index) => field(1, imageMessage(index))))
}

/** As large as most: an ID, a tag, a digest, a size. */
function imageMessage(index: number): Buffer {
  const name = `registry.example.com/team-${index % 97}/app-${index}`
  return Buffer.concat([
    text(1, digestOf(`config ${index}`)),
    text(2, `${name}:1.${index}`),
    text(3, `${name}@${digestOf(`index ${index}`)}`),
    Buffer.from([4 << 3, 0x80, 0x80, 0x40]),
  ])
}
