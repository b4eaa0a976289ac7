import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { startRelay } from '../../support/relay.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const EVENTS = '/runtime.v1.RuntimeService/GetContainerEvents'
const STATUS = '/runtime.v1.ImageService/ImageStatus'
const EXEC = '/runtime.v1.RuntimeService/ExecSync'
/** Whoever waits for that fails by the limit of the test. */
const NEVER_MS = 3_600_000
const LIMIT = { timeout: 60_000 } as const
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' }

/** A pull that hangs in the runtime. */
async function startPull(t: TestContext) {
  const { runtime, relay, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const client = openGrpcClient(t, path)
  const pull = client.call(PULL)
  return { client, path, pull, pulling: arrived, relay, runtime }
}

/** The same, and calls to another path will hang, too. */
async function startPullBeside(t: TestContext, otherPath: string) {
  const scene = await startPull(t)
  const { arrived, hang } = hanging()
  scene.runtime.handle(otherPath, hang)
  return { ...scene, other: arrived }
}

test('closes: what ends within the grace ends well, and new calls are not taken', async (t) => {
  const { client, pull: answer, pulling, relay } = await startPull(t)
  const call = await pulling
  const toldToGo = once(client.session, 'goaway')

  const closed = relay.close({ graceMs: 60_000 })
  await toldToGo
  respond(call.stream, [Buffer.from('pulled')])
  const { code, messages } = await answer
  await closed

  assert.equal(code, 0)
  assert.deepEqual(messages.map(String), ['pulled'])
  assert.equal(client.session.closed, true)
})

test('closes: what does not end gets a status, and the runtime a cancellation', async (t) => {
  const { client, other, pull, pulling, relay } = await startPullBeside(t, EVENTS)
  const events = client.open(EVENTS)
  const eventsAnswer = answerOf(events)
  const [pullCall, eventsCall] = await Promise.all([pulling, other])
  eventsCall.stream.respond(HEADERS, { waitForTrailers: true })
  eventsCall.stream.write(framed(Buffer.from('event')))
  await once(events, 'data')

  await relay.close({ graceMs: 0 })

  const answers = await Promise.all([pull, eventsAnswer])
  assert.deepEqual(
    answers.map(({ code, message }) => [code, message]),
    Array(2).fill([14, 'image-resolver is shutting down']),
  )
  assert.deepEqual(await Promise.all([pullCall.closed, eventsCall.closed]), [8, 8])
})

test('drains: while a pull ends everything else is served, to new clients too, and streams stay', async (t) => {
  const { client, other, path, pull, pulling, relay, runtime } = await startPullBeside(t, EVENTS)
  runtime.handle(STATUS, ({ stream }) => respond(stream, [Buffer.from('served')]))
  const events = client.open(EVENTS)
  const eventsAnswer = answerOf(events)
  const [call, eventsCall] = await Promise.all([pulling, other])
  eventsCall.stream.respond(HEADERS, { waitForTrailers: true })

  let isDrained = false
  const drained = relay.drain({ graceMs: 0, pullGraceMs: 60_000 }).then(() => {
    isDrained = true
  })
  const late = openGrpcClient(t, path)
  const served = await Promise.all([client.call(STATUS), late.call(STATUS)])
  eventsCall.stream.write(framed(Buffer.from('event')))
  await once(events, 'data')
  assert.equal(isDrained, false)
  respond(call.stream, [Buffer.from('pulled')])
  const pulled = await pull
  await drained

  assert.deepEqual(
    served.map(({ code }) => code),
    [0, 0],
  )
  assert.deepEqual([pulled.code, ...pulled.messages.map(String)], [0, 'pulled'])
  assert.equal((await late.call(STATUS)).code, 0)
  await relay.close({ graceMs: 60_000 })
  assert.equal((await eventsAnswer).code, 14)
})

test('drains: new pulls are told that this is a restart, and never begin', async (t) => {
  const { client, path, pull, pulling, relay, runtime } = await startPull(t)
  const call = await pulling

  const drained = relay.drain({ graceMs: 0, pullGraceMs: 60_000 })
  const late = openGrpcClient(t, path)
  const refused = await Promise.all([client.call(PULL), late.call(PULL)])
  respond(call.stream, [Buffer.from('pulled')])
  await Promise.all([drained, pull])

  for (const { code, message } of refused) {
    assert.equal(code, 14)
    assert.match(message ?? '', /restarting/)
  }
  assert.equal(runtime.calls.filter((each) => each.path === PULL).length, 1)
})

test('drains: a pull that does not end in its grace gets a status, and other calls go on', async (t) => {
  const { client, other, pull, pulling, relay } = await startPullBeside(t, EXEC)
  const command = client.call(EXEC)
  const [pullCall, call] = await Promise.all([pulling, other])

  await relay.drain({ graceMs: 0, pullGraceMs: 0 })
  const ended = await pull
  respond(call.stream, [Buffer.from('done')])

  assert.deepEqual([ended.code, ended.message], [14, 'image-resolver is shutting down'])
  assert.equal(await pullCall.closed, 8)
  assert.equal((await command).code, 0)
})

test('drains: calls that began before are waited for, those that came since are not', async (t) => {
  const { client, other, path, pull, pulling, relay, runtime } = await startPullBeside(t, EXEC)
  const command = client.call(EXEC)
  const [call, execCall] = await Promise.all([pulling, other])
  const { arrived, hang } = hanging()
  runtime.handle(STATUS, hang)

  const drained = relay.drain({ graceMs: 60_000, pullGraceMs: 60_000 })
  const late = openGrpcClient(t, path)
  const lateAnswer = late.call(STATUS)
  const lateCall = await arrived
  respond(call.stream, [])
  respond(execCall.stream, [])
  await Promise.all([drained, pull, command])
  respond(lateCall.stream, [Buffer.from('late')])

  assert.equal((await lateAnswer).code, 0)
})

test('closes at once when nobody is there', LIMIT, async (t) => {
  const { relay } = await startRelay(t)

  await relay.close({ graceMs: NEVER_MS })
})

test(
  'closes: a client that was about to leave is not waited for after its last call',
  LIMIT,
  async (t) => {
    const { client, pull: answer, pulling, relay } = await startPull(t)
    const call = await pulling
    client.session.goaway()
    await new Promise<void>((resolve) => client.session.ping(() => resolve()))

    const closed = relay.close({ graceMs: NEVER_MS })
    respond(call.stream, [Buffer.from('pulled')])
    const { code } = await answer
    await closed

    assert.equal(code, 0)
  },
)
