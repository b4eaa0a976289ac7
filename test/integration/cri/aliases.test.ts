import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { withImage } from '../../../src/cri/image-messages.ts'
import { openCriServer } from '../../../src/cri/server.ts'
import { readString, withBytes, withString } from '../../../src/cri/wire.ts'
import { ResolveError } from '../../../src/errors.ts'
import { openRuntime } from '../../../src/runtime/runtime.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { type FakeRuntime, respond, respondStatus } from '../../support/fake-runtime.ts'
import { answerOf, type GrpcClient, openGrpcClient } from '../../support/grpc-client.ts'
import { framed, unframed } from '../../support/grpc-frames.ts'
import { CRI_O, type ImageRuntime, startImageRuntime } from '../../support/image-runtime.ts'
import { temporaryFolder } from '../../support/stack.ts'

const STATUS = '/runtime.v1.ImageService/ImageStatus'
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const STREAM = '/runtime.v1.ImageService/StreamImages'
const CONTAINERS = '/runtime.v1.RuntimeService/ListContainers'
const TABLE = '/containerd.services.images.v1.Images/Get'
const ID = 'a'.repeat(64)
const D = `sha256:${'d'.repeat(64)}`
const MIRROR = `m:5000/library/x@${D}`
const TAG = 'docker.io/library/x:1'
const BY_DIGEST = `docker.io/library/x@${D}`
const NOTHING = Buffer.alloc(0)

interface Scene {
  readonly images: ImageRuntime
  readonly fake: FakeRuntime
  readonly client: GrpcClient
}

/** The server in front of a scripted CRI-O in which an image of ours was pulled from a mirror. */
async function openApp(t: TestContext, isContainerd = false): Promise<Scene> {
  const folder = temporaryFolder(t)
  const images = await startImageRuntime(t, join(folder, 'runtime.sock'), CRI_O)
  const { fake } = images
  if (isContainerd) offerTable(fake)
  const logger = silentLogger()
  const stateFolder = join(folder, 'state')
  const runtime = openRuntime({ path: fake.path, version: undefined, stateFolder, logger })
  t.after(() => runtime.close())
  if (!isContainerd) {
    await runtime.names.withLease(MIRROR, async () => {
      images.images.set(ID, { id: ID, names: new Set([MIRROR]), digests: new Set([D]) })
      return ID
    }, [TAG, BY_DIGEST])
  }
  const refused = () => Promise.reject(new ResolveError('UNAVAILABLE', 'nothing is to be asked'))
  const server = await openCriServer({
    path: join(folder, 'shim.sock'),
    runtimeSocket: fake.path,
    resolver: { candidates: () => [], credentials: refused, resolve: refused },
    answers: { answer: refused },
    runtime: runtime.cri,
    names: runtime.names,
    aliases: runtime.aliases,
    onResolveError: () => 'passthrough',
    timeoutMs: 60_000,
    logger,
  })
  t.after(() => server.close({ graceMs: 0 }))
  return { images, fake, client: openGrpcClient(t, join(folder, 'shim.sock')) }
}

/** containerd's: no such image, which says that there is a table. */
function offerTable(fake: FakeRuntime): void {
  fake.handle(TABLE, ({ stream }) => respondStatus(stream, 5, 'not found'))
}

function container(name: string): Buffer {
  const spec = Buffer.from(withString(NOTHING, 1, name))
  const bytes = withString(withBytes(NOTHING, 4, spec), 99, 'unknown')
  return Buffer.from(withBytes(NOTHING, 1, bytes))
}

function callsTo(fake: FakeRuntime, path: string) {
  return fake.calls.filter((call) => call.path === path)
}

test('a name of ours is asked for by ID, with all else that was in the request', async (t) => {
  const { client, fake } = await openApp(t)
  const fields = withString(withString(withImage(NOTHING, 'x:1'), 99, 'unknown'), 2, 'verbose')
  const before = callsTo(fake, STATUS).length

  const answer = await client.call(STATUS, [Buffer.from(fields)], { 'x-trace': 'kept' })

  const last = callsTo(fake, STATUS).at(-1)
  assert.equal(answer.code, 0)
  assert.ok(answer.messages[0]?.includes(TAG) && !answer.messages[0].includes('m:5000'))
  assert.deepEqual(await last?.request, [Buffer.from(withImage(fields, ID))])
  assert.equal(last?.headers['x-trace'], 'kept')
  assert.ok(callsTo(fake, STATUS).length - before <= 3)
})

test('what the runtime says of a failure comes back', async (t) => {
  const { client, fake } = await openApp(t)
  fake.handle(STATUS, ({ stream }) => respondStatus(stream, 13, 'the storage is on fire'))

  const answer = await client.call(STATUS, [Buffer.from(withImage(NOTHING, 'y'))])

  assert.deepEqual([answer.code, answer.message], [13, 'the storage is on fire'])
})

test('events that come one by one go on one by one, with our names', async (t) => {
  const { client, fake } = await openApp(t)
  const event = (name: string): Buffer => {
    const spec = Buffer.from(withString(NOTHING, 1, name))
    return Buffer.from(withBytes(NOTHING, 5, withBytes(NOTHING, 8, spec)))
  }
  let send = (_message: Buffer | undefined): void => {}
  fake.handle(EVENTS, ({ stream }) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    send = (message) => void (message === undefined ? stream.end() : stream.write(framed(message)))
    send(event(MIRROR))
  })
  const stream = client.open(EVENTS)
  stream.end(framed(NOTHING))
  const answer = answerOf(stream)

  for (let count = 0; count < 3; count += 1) {
    const chunk = await new Promise<Buffer>((resolve) => stream.once('data', resolve))
    assert.deepEqual(unframed(chunk), [event(TAG)])
    send(count === 2 ? undefined : event(MIRROR))
  }

  assert.equal((await answer).code, 0)
})

test('a list that is streamed is whole and in order, and waits for its reader', async (t) => {
  const { client, fake } = await openApp(t)
  const batch = 200
  const messages = Array.from({ length: 300 }, (_, index) =>
    Buffer.concat(
      Array.from({ length: batch }, (__, item) =>
        Buffer.from(withBytes(NOTHING, 1, withString(NOTHING, 1, `${index}-${item}`.padEnd(200)))),
      ),
    ),
  )
  let written = 0
  fake.handle(STREAM, ({ stream }) => {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    const fill = (): void => {
      const message = messages[written]
      if (message === undefined) return void stream.end()
      written += 1
      stream.write(framed(message), fill)
    }
    fill()
  })
  const stream = client.open(STREAM)
  stream.end(framed(NOTHING))
  const heads = new Promise((resolve) => stream.once('response', resolve))

  await heads
  let last = -1
  while (last !== written) {
    last = written
    for (let quiet = 0; quiet < 50; quiet += 1) await client.call(CONTAINERS, [NOTHING])
  }
  const held = written
  const answer = await answerOf(stream)

  assert.ok(held < messages.length, `${held} of ${messages.length} messages were taken unread`)
  assert.deepEqual(answer.messages, messages)
  assert.equal(answer.code, 0)
})

test('UNIMPLEMENTED comes back as such', async (t) => {
  const { client } = await openApp(t)

  const answer = await client.call(STREAM, [NOTHING])

  assert.equal(answer.code, 12)
  assert.equal(answer.trailersOnly, true)
})

test('containerd is asked once for what it is asked, and answers itself', async (t) => {
  const { client, fake } = await openApp(t, true)
  const odd = Buffer.from([0x0a, 0x80, 0x00])
  fake.handle(STATUS, async (call) => {
    await call.request
    respond(call.stream, [odd], { trailers: { 'x-trailer': 'kept' } })
  })
  const before = fake.calls.length

  const answer = await client.call(STATUS, [Buffer.from(withImage(NOTHING, 'x:1'))])

  assert.deepEqual(answer.messages, [odd])
  assert.equal(answer.trailers['x-trailer'], 'kept')
  const calls = fake.calls.slice(before).map(({ path }) => path)
  assert.deepEqual(
    calls.filter((path) => path === STATUS),
    [STATUS],
  )
})

test('another runtime behind the same socket is found out after the connection was lost', async (t) => {
  const { client, fake } = await openApp(t)
  fake.handle(CONTAINERS, ({ stream }) => respond(stream, [container(MIRROR)]))
  const [before] = (await client.call(CONTAINERS, [NOTHING])).messages

  await fake.stop()
  offerTable(fake)
  await fake.start()
  let after: Buffer | undefined
  for (let tries = 0; tries < 1_000; tries += 1) {
    const answer = await client.call(CONTAINERS, [NOTHING])
    after = answer.messages[0]
    if (after?.equals(container(MIRROR))) break
    await new Promise(setImmediate)
  }

  assert.deepEqual(before, container(TAG))
  assert.deepEqual(after, container(MIRROR))
})

test('an image that is removed by any name takes its names with it', async (t) => {
  const { client, images } = await openApp(t)
  const request = Buffer.from(withImage(NOTHING, 'x:1'))

  const removed = await client.call('/runtime.v1.ImageService/RemoveImage', [request])
  const gone = await client.call(STATUS, [request])

  assert.equal(removed.code, 0)
  assert.equal(images.images.size, 0)
  assert.equal(readString(gone.messages[0] ?? NOTHING, 1), '')
})
