import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { hanging, respond } from '../../support/fake-runtime.ts'
import { answerOf, openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { startRelay } from '../../support/relay.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const EVENTS = '/x.Y/Events'
const EXEC = '/runtime.v1.RuntimeService/ExecSync'
const HEADERS = { ':status': 200, 'content-type': 'application/grpc' }

/** A pull that hangs in the runtime. */
async function startPull(t: TestContext) {
  const { runtime, relay, path } = await startRelay(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const client = openGrpcClient(t, path)
  const pull = client.call(PULL)
  return { client, pull, pulling: arrived, relay, runtime }
}

/** The same, and calls to another path will hang, too. */
async function startPullBeside(t: TestContext, otherPath: string) {
  const scene = await startPull(t)
  const { arrived, hang } = hanging()
  scene.runtime.handle(otherPath, hang)
  return { ...scene, other: arrived }
}

test('drains: what ends within the grace ends well, and new calls are not taken', async (t) => {
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

test('drains: what does not end gets a status, and the runtime a cancellation', async (t) => {
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

test('drains: a pull may take longer to end than other calls', async (t) => {
  const { client, other, pull, pulling, relay } = await startPullBeside(t, EXEC)
  const command = client.call(EXEC)
  const [call] = await Promise.all([pulling, other])

  const closed = relay.close({ graceMs: 0, pullGraceMs: 60_000 })
  const ended = await command
  respond(call.stream, [Buffer.from('pulled')])
  const pulled = await pull
  await closed

  assert.deepEqual([ended.code, ended.message], [14, 'image-resolver is shutting down'])
  assert.deepEqual([pulled.code, ...pulled.messages.map(String)], [0, 'pulled'])
})

test('drains at once when nobody is there', async (t) => {
  const { relay } = await startRelay(t)

  const startedAt = performance.now()
  await relay.close({ graceMs: 60_000 })

  assert.ok(performance.now() - startedAt < 5_000)
})

test('drains: a client that was about to leave is not waited for after its last call', async (t) => {
  const { client, pull: answer, pulling, relay } = await startPull(t)
  const call = await pulling
  client.session.goaway()
  await new Promise<void>((resolve) => client.session.ping(() => resolve()))

  const begunAt = performance.now()
  const closed = relay.close({ graceMs: 5_000 })
  respond(call.stream, [Buffer.from('pulled')])
  const { code } = await answer
  await closed

  assert.equal(code, 0)
  assert.ok(performance.now() - begunAt < 4_000)
})
