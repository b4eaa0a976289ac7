import assert from 'node:assert/strict'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import { type TestContext, test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { isConnectionLost, isRuntimeError, rawMethod } from '../../../src/runtime/call.ts'
import { openRuntimeChannel } from '../../../src/runtime/channel.ts'
import { listen, startRawServer } from '../../support/listen.ts'
import { temporaryFolder } from '../../support/stack.ts'

const HEAD = { ':status': 200, 'content-type': 'application/grpc' }
/** Only what hangs gets there. */
const LIMIT = { timeout: 60_000 } as const

/** Asks a runtime that does this. */
async function ask(t: TestContext, behave: (stream: ServerHttp2Stream) => void): Promise<Buffer> {
  const path = `${temporaryFolder(t)}/runtime.sock`
  const server = createServer().on('stream', (stream) => {
    stream.on('error', () => {}).resume()
    behave(stream)
  })
  await listen(t, server as unknown as Parameters<typeof listen>[1], { path })
  const channel = openRuntimeChannel(path)
  t.after(() => channel.close())
  return channel.call(rawMethod('/runtime.v1.ImageService/PullImage'), Buffer.alloc(1))
}

test('a trailer that gRPC does not allow is left out of an error', LIMIT, async (t) => {
  const bad = { 'x-bad': 'caf\xe9', 'x!bad': 'name', 'x-good': 'yes' }
  const error = { 'grpc-status': '5', 'grpc-message': 'not found' }

  const asked = ask(t, (stream) =>
    stream.respond({ ...HEAD, ...error, ...bad }, { endStream: true }),
  )

  await assert.rejects(asked, (thrown) => {
    assert.ok(isRuntimeError(thrown))
    assert.deepEqual([thrown.code, thrown.details], [status.NOT_FOUND, 'not found'])
    const isOurs = (_: string, index: number, all: readonly string[]) =>
      all[index - (index % 2)]?.startsWith('x')
    assert.deepEqual(thrown.metadata.filter(isOurs), ['x-good', 'yes'])
    return true
  })
})

test(
  'a socket that takes the connection and sends no SETTINGS is given up, and named',
  LIMIT,
  async (t) => {
    const path = `${temporaryFolder(t)}/runtime.sock`
    await startRawServer(t, (socket) => socket.resume(), { path })
    const channel = openRuntimeChannel(path, 20)
    t.after(() => channel.close())

    const asked = channel.call(rawMethod('/runtime.v1.ImageService/PullImage'), Buffer.alloc(1))

    await assert.rejects(asked, (thrown) => {
      assert.ok(isRuntimeError(thrown) && isConnectionLost(thrown))
      assert.equal(thrown.code, status.UNAVAILABLE)
      assert.ok(thrown.details.includes(path) && thrown.details.includes('no SETTINGS'))
      return true
    })
  },
)

const NOT_WHOLE: Readonly<Record<string, Buffer>> = {
  none: Buffer.alloc(0),
  'one that is cut short': Buffer.of(0, 0, 0, 0, 9, 1),
  'a compressed one': Buffer.of(1, 0, 0, 0, 1, 1),
  two: Buffer.of(0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1),
}

for (const [what, body] of Object.entries(NOT_WHOLE)) {
  test(`success with another body than one message is no success: ${what}`, LIMIT, async (t) => {
    const asked = ask(t, (stream) => {
      stream.respond(HEAD, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
      stream.end(body)
    })

    await assert.rejects(asked, { code: status.INTERNAL })
  })
}

const UNANSWERED: readonly [string, number, (stream: ServerHttp2Stream) => void][] = [
  ['with an HTTP error', status.UNKNOWN, (s) => s.respond({ ':status': 503 }, { endStream: true })],
  ['by a reset', status.INTERNAL, (stream) => stream.close(2)],
  ['by a reset that cancels', status.CANCELLED, (stream) => stream.close(8)],
  ['by a reset for overload', status.RESOURCE_EXHAUSTED, (stream) => stream.close(11)],
]

for (const [how, code, behave] of UNANSWERED) {
  test(`a runtime that refuses a call ${how} is not away`, LIMIT, async (t) => {
    await assert.rejects(ask(t, behave), (thrown) => {
      assert.ok(isRuntimeError(thrown))
      assert.deepEqual([thrown.code, isConnectionLost(thrown)], [code, false])
      return true
    })
  })
}
