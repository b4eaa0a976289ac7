import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import { test } from 'node:test'
import { ERROR_CODE } from '../../../src/http2/frames.ts'
import { headerValue } from '../../../src/http2/headers.ts'
import { LIMITS } from '../../../src/http2/limits.ts'
import type { OnStream } from '../../../src/http2/receiver.ts'
import type { Stream, StreamHandler } from '../../../src/http2/stream.ts'
import { type ServedNode, serveNode } from '../../support/http2-ends.ts'
import { RecordedStream } from '../../support/recorded-stream.ts'

const MIB = 1024 * 1024
const STREAM_WINDOW_BYTES = LIMITS.streamWindowBytes.server
const ANSWER = { fields: [':status', '200'] }
const TRAILERS = { fields: ['grpc-status', '0'] }

/** Sends back what comes, and takes more when that has gone. */
function echo(stream: Stream): StreamHandler {
  let owedBytes = 0
  stream.sendHeaders(ANSWER, false)
  return {
    onHeaders() {},
    onData(bytes, isEnd) {
      owedBytes += bytes.length
      stream.sendData(bytes, false)
      if (isEnd) stream.sendHeaders(TRAILERS, true)
    },
    onDrain() {
      const bytes = owedBytes
      owedBytes = 0
      stream.consumed(bytes)
    },
    onEnd() {},
  }
}

interface Recording {
  readonly calls: RecordedStream[]
  readonly onStream: OnStream
  /** The call of that number, once its headers have come. */
  call(index: number): Promise<RecordedStream & { readonly stream: Stream }>
}

/** Writes all calls down and answers none. */
function recording(options?: { readonly keeps: boolean }): Recording {
  const calls: RecordedStream[] = []
  let news = (): void => {}
  const onStream: OnStream = (stream, list, isEnd) => {
    const call = new RecordedStream(options)
    call.stream = stream
    call.onHeaders(list, isEnd)
    calls.push(call)
    news()
    return call
  }
  const call: Recording['call'] = async (index) => {
    for (;;) {
      const found = calls[index]
      if (found?.stream !== undefined) return Object.assign(found, { stream: found.stream })
      await new Promise<void>((resolve) => {
        news = resolve
      })
    }
  }
  return { calls, onStream, call }
}

function post(node: ClientHttp2Session, path = '/', fields = {}): ClientHttp2Stream {
  const request = { ':method': 'POST', ':path': path, ...fields }
  const stream = node.request(request, { endStream: false })
  stream.on('error', () => {})
  return stream
}

async function bodyOf(stream: ClientHttp2Stream): Promise<Buffer> {
  return Buffer.concat((await stream.toArray()) as Buffer[])
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** The peer has dealt with all that was sent, and we with its answer. */
async function settled(node: ClientHttp2Session): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    node.ping((error) => (error === null ? resolve() : reject(error)))
  })
}

/** Nothing is left on it: it goes as soon as it is asked to. */
async function goesAtOnce({ ours }: ServedNode): Promise<void> {
  ours.connection.goAway()
  assert.equal(await ours.closed, undefined)
}

for (const [what, options] of Object.entries({
  'as it comes': {},
  'with padding': { paddingStrategy: constants.PADDING_STRATEGY_MAX },
  'with large windows': { settings: { initialWindowSize: 8 * MIB } },
  'with the smallest windows': { settings: { initialWindowSize: 1_000 } },
})) {
  test(`a body of many MiB goes both ways: ${what}`, async (t) => {
    const served = await serveNode(t, echo, options)
    const body = randomBytes(what.includes('smallest') ? MIB : 8 * MIB)
    const stream = post(served.node)
    const trailers = once(stream, 'trailers')
    stream.end(body)

    assert.equal(digest(await bodyOf(stream)), digest(body))
    assert.equal((await trailers)[0]['grpc-status'], '0')
    assert.equal(stream.rstCode, 0)
    await goesAtOnce(served)
  })
}

test('many calls at once keep their bodies apart', async (t) => {
  const served = await serveNode(t, echo)
  const bodies = Array.from({ length: 200 }, (_, n) => randomBytes(100 * n))

  const answers = await Promise.all(
    bodies.map((body) => {
      const stream = post(served.node)
      stream.end(body)
      return bodyOf(stream)
    }),
  )

  assert.deepEqual(answers.map(digest), bodies.map(digest))
  await goesAtOnce(served)
})

test('a client stops at the window of a stream that nobody deals with', async (t) => {
  const { calls, onStream, call } = recording({ keeps: true })
  const { node } = await serveNode(t, onStream)
  const stream = post(node)
  stream.end(Buffer.alloc(4 * MIB))
  const received = await call(0)
  await new Promise<void>((resolve) => {
    received.onHeard = () => received.bytes >= STREAM_WINDOW_BYTES && resolve()
  })
  await settled(node)
  assert.equal(calls[0]?.bytes, STREAM_WINDOW_BYTES)

  const whole = new Promise<void>((resolve) => {
    received.onHeard = () => {
      received.stream.consumed(received.bytes)
      if (received.lastWords === 1) resolve()
    }
  })
  received.stream.consumed(STREAM_WINDOW_BYTES)
  await whole

  assert.equal(received.bytes, 4 * MIB)
})

test('an answer waits for a client that does not read it, and small calls pass it by', async (t) => {
  const large: Stream[] = []
  const onStream: OnStream = (stream, list) => {
    if (headerValue(list, ':path') === '/small') return echo(stream)
    large.push(stream)
    stream.sendHeaders(ANSWER, false)
    stream.sendData(Buffer.alloc(8 * MIB), true)
    return new RecordedStream()
  }
  const { node } = await serveNode(t, onStream, { settings: { initialWindowSize: 50_000 } })
  const slow = post(node, '/large')
  await once(slow, 'response')
  await settled(node)
  assert.equal(large[0]?.waitingBytes, 8 * MIB - 50_000)

  const small = post(node, '/small')
  small.end('quick')

  assert.equal(String(await bodyOf(small)), 'quick')
  slow.end()
  assert.equal((await bodyOf(slow)).length, 8 * MIB)
})

test('a small call gets through beside a large one that is read', async (t) => {
  const { node } = await serveNode(t, (stream, list) => {
    if (headerValue(list, ':path') === '/small') return echo(stream)
    stream.sendHeaders(ANSWER, false)
    stream.sendData(Buffer.alloc(16 * MIB), true)
    return new RecordedStream()
  })
  const large = post(node, '/large')
  let largeBytes = 0
  large.on('data', (chunk: Buffer) => {
    largeBytes += chunk.length
  })
  await once(large, 'data')
  const small = post(node, '/small')
  small.end('quick')

  await bodyOf(small)

  assert.ok(largeBytes < 8 * MIB, String(largeBytes))
})

test('windows that get smaller and larger while an answer waits hold it and let it go', async (t) => {
  const sent: Stream[] = []
  const { node } = await serveNode(
    t,
    (stream) => {
      sent.push(stream)
      stream.sendHeaders(ANSWER, false)
      stream.sendData(Buffer.alloc(200_000), true)
      return new RecordedStream()
    },
    { settings: { initialWindowSize: 10_000 } },
  )
  const stream = post(node)
  await once(stream, 'response')
  await settled(node)
  assert.equal(sent[0]?.waitingBytes, 190_000)
  const settings = (initialWindowSize: number): Promise<void> =>
    new Promise((resolve) => node.settings({ initialWindowSize }, () => resolve()))

  await settings(0)
  await settings(11_000)
  await settled(node)
  assert.equal(sent[0]?.waitingBytes, 189_000)
  await settings(30_000)
  await settled(node)
  assert.equal(sent[0]?.waitingBytes, 170_000)

  stream.end()
  assert.equal((await bodyOf(stream)).length, 200_000)
})

test('headers of 100 KiB go both ways', async (t) => {
  // nghttp2 takes no single value of more than 64 KiB.
  const value = 'v'.repeat(50_000)
  const { onStream, call } = recording()
  const { node } = await serveNode(t, onStream, {
    maxSendHeaderBlockLength: 200_000,
    settings: { maxHeaderListSize: 200_000 },
  })
  // Node's client takes that much once we have acknowledged its settings.
  await settled(node)
  const stream = post(node, '/', { x: value, y: value })
  const received = await call(0)
  const response = once(stream, 'response')
  received.stream.sendHeaders({ fields: [...ANSWER.fields, 'x', value, 'y', value] }, true)

  const [headers] = await response
  assert.deepEqual([headers['x'], headers['y']], [value, value])
  const list = received.heard[0] ?? ANSWER
  assert.deepEqual([headerValue(list, 'x'), headerValue(list, 'y')], [value, value])
})

test('headers of more than 128 KiB are answered with 431', async (t) => {
  const { calls, onStream } = recording()
  const served = await serveNode(t, onStream, { maxSendHeaderBlockLength: 300_000 })
  // Node's client keeps to what was announced, once it knows.
  const stream = post(served.node, '/', { x: 'v'.repeat(131_072) })
  const [headers] = await once(stream, 'response')
  stream.end()

  assert.equal(headers[':status'], 431)
  assert.equal(calls.length, 0)
})

test('a client that resets is told of with its code, wherever the call is', async (t) => {
  const { onStream, call } = recording()
  const served = await serveNode(t, onStream)
  const states: Readonly<Record<string, (stream: Stream) => void>> = {
    unanswered: () => {},
    answering: (stream) => stream.sendHeaders(ANSWER, false),
    waiting: (stream) => {
      stream.sendHeaders(ANSWER, false)
      stream.sendData(Buffer.alloc(MIB), true)
    },
  }
  for (const [index, bring] of Object.values(states).entries()) {
    const stream = post(served.node)
    const received = await call(index)
    bring(received.stream)
    await settled(served.node)
    stream.close(constants.NGHTTP2_CANCEL)

    assert.deepEqual(await received.ended, { how: 'reset', code: ERROR_CODE.cancel })
    assert.equal(received.ends.length, 1)
  }
  await goesAtOnce(served)
})

test('a reset of ours reaches the client with its code, and is behind the answer where asked', async (t) => {
  const { onStream, call } = recording()
  const served = await serveNode(t, onStream)
  const stream = post(served.node)
  const closed = new Promise((resolve) => stream.on('close', resolve))
  const received = await call(0)
  received.stream.sendHeaders(ANSWER, false)
  received.stream.sendData(Buffer.alloc(MIB), false)
  received.stream.resetBehind(ERROR_CODE.internalError)
  let bytes = 0
  stream.on('data', (chunk: Buffer) => {
    bytes += chunk.length
  })
  await closed

  assert.deepEqual([stream.rstCode, bytes], [ERROR_CODE.internalError, MIB])
  assert.deepEqual(received.ends, [{ how: 'local' }])
  await goesAtOnce(served)
})

test('after GOAWAY of ours the calls under way finish, and then it closes', async (t) => {
  const { onStream, call } = recording()
  const { node, ours } = await serveNode(t, onStream)
  const stream = post(node)
  const received = await call(0)
  const goaway = once(node, 'goaway')
  ours.connection.goAway()
  const [code, last] = await goaway
  assert.deepEqual([code, last], [ERROR_CODE.noError, 1])

  stream.end('the rest')
  received.stream.sendHeaders(ANSWER, true)

  assert.deepEqual(await received.ended, { how: 'done' })
  assert.equal(received.body.toString(), 'the rest')
  assert.equal(await ours.closed, undefined)
})

test('after GOAWAY of the client the calls under way finish, and then it closes', async (t) => {
  const { onStream, call } = recording()
  const { node, ours } = await serveNode(t, onStream)
  const stream = post(node)
  const received = await call(0)
  node.close()
  stream.end()
  stream.resume()
  await settled(node).catch(() => {})
  received.stream.sendHeaders(ANSWER, true)

  assert.deepEqual(await received.ended, { how: 'done' })
  assert.equal(await ours.closed, undefined)
})

test('a client that goes in the midst ends its calls, once', async (t) => {
  const { onStream, call } = recording()
  const { node, ours } = await serveNode(t, onStream)
  const open = post(node)
  post(node).end()
  open.write(Buffer.alloc(300_000))
  const calls = [await call(0), await call(1)]
  calls[1]?.stream.sendHeaders(ANSWER, false)
  calls[1]?.stream.sendData(Buffer.alloc(4 * MIB), true)

  node.destroy()

  await ours.closed
  assert.equal(ours.connection.isOpen, false)
  assert.deepEqual(
    calls.map(({ ends }) => ends.length),
    [1, 1],
  )
})

test('a transport that breaks is the cause', async (t) => {
  const { onStream, call } = recording()
  const { node, ours } = await serveNode(t, onStream)
  post(node)
  const received = await call(0)
  const broken = new Error('broken')

  ours.socket.destroy(broken)

  assert.equal(await ours.closed, broken)
  assert.deepEqual(received.ends, [{ how: 'lost' }])
})

test('destroy() cancels what is under way, on both sides', async (t) => {
  const { onStream, call } = recording()
  const { node, ours } = await serveNode(t, onStream)
  const stream = post(node)
  const closed = once(stream, 'close')
  const received = await call(0)

  ours.connection.destroy()

  assert.deepEqual(received.ends, [{ how: 'local' }])
  await closed
  assert.equal(stream.rstCode, ERROR_CODE.cancel)
  assert.equal(await ours.closed, undefined)
})

test('what goes wrong in who is told ends the connection alone, and is told to nobody but us', async (t) => {
  const wrong = new Error('wrong')
  const { node, ours } = await serveNode(t, () => {
    throw wrong
  })
  const goaway = once(node, 'goaway')
  post(node)

  assert.equal((await goaway)[0], ERROR_CODE.internalError)
  assert.match(String(await ours.closed), /internal error/)
  assert.deepEqual(ours.defects, [wrong])
})
