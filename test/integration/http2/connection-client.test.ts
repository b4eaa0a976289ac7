import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { test } from 'node:test'
import { ERROR_CODE } from '../../../src/http2/frames.ts'
import { headerValue } from '../../../src/http2/headers.ts'
import { LIMITS } from '../../../src/http2/limits.ts'
import {
  type DialledNode,
  dialNode,
  dialPath,
  type OurCall,
  type OurEnd,
  openCall,
  requestTo,
} from '../../support/http2-ends.ts'
import { startRawServer } from '../../support/listen.ts'
import { temporaryFolder } from '../../support/stack.ts'

const MIB = 1024 * 1024
const STREAM_WINDOW_BYTES = LIMITS.streamWindowBytes.client

function ask(ours: OurEnd, path = '/', body: Buffer | string = ''): OurCall {
  const call = openCall(ours)
  call.stream.begin(requestTo(path), false)
  call.stream.sendData(Buffer.from(body), true)
  return call
}

function echo(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200 }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  stream.pipe(stream)
}

function digest(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** All that we said has been dealt with, and what was said to us is here. */
async function settled(node: ServerHttp2Session): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    node.ping((error) => (error === null ? resolve() : reject(error)))
  })
}

/** Nothing is left on it: it goes as soon as it is asked to. */
async function goesAtOnce({ ours }: Pick<DialledNode, 'ours'>): Promise<void> {
  ours.connection.goAway()
  assert.equal(await ours.closed, undefined)
}

for (const [what, initialWindowSize] of [
  ['the usual', 65_535],
  ['large', 8 * MIB],
  ['small', 1_000],
] as const) {
  test(`a body of many MiB goes both ways, with ${what} windows`, async (t) => {
    const dialled = await dialNode(t, echo, { settings: { initialWindowSize } })
    const body = randomBytes(initialWindowSize < 10_000 ? MIB : 8 * MIB)
    const call = ask(dialled.ours, '/', body)

    assert.deepEqual(await call.ended, { how: 'done' })
    assert.equal(digest(call.body), digest(body))
    assert.equal(headerValue(call.heard[1] ?? { fields: [] }, 'grpc-status'), '0')
    await goesAtOnce(dialled)
  })
}

test('many calls at once keep their bodies apart', async (t) => {
  const dialled = await dialNode(t, echo)
  const bodies = Array.from({ length: 200 }, (_, n) => randomBytes(100 * n))
  const calls = bodies.map((body) => ask(dialled.ours, '/', body))

  await Promise.all(calls.map(({ ended }) => ended))

  assert.deepEqual(
    calls.map(({ body }) => digest(body)),
    bodies.map(digest),
  )
  await goesAtOnce(dialled)
})

test('a server stops at the window of a stream that nobody deals with', async (t) => {
  const { ours, node } = await dialNode(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.end(Buffer.alloc(4 * MIB))
  })
  const call = openCall(ours, { keeps: true })
  const full = new Promise<void>((resolve) => {
    call.onHeard = () => call.bytes >= STREAM_WINDOW_BYTES && resolve()
  })
  call.stream.begin(requestTo('/'), true)
  await full
  await settled(node)
  assert.equal(call.bytes, STREAM_WINDOW_BYTES)

  let dealtBytes = 0
  call.onHeard = () => {
    call.stream.consumed(call.bytes - dealtBytes)
    dealtBytes = call.bytes
  }
  call.onHeard()

  assert.deepEqual(await call.ended, { how: 'done' })
  assert.equal(call.bytes, 4 * MIB)
})

test('a body waits for a server that does not read it, and small calls pass it by', async (t) => {
  const slow: ServerHttp2Stream[] = []
  const { ours, node } = await dialNode(
    t,
    (stream, path) => {
      if (path === '/small') echo(stream)
      else slow.push(stream)
    },
    { settings: { initialWindowSize: 50_000 } },
  )
  await settled(node)
  const large = ask(ours, '/large', Buffer.alloc(8 * MIB))
  await settled(node)
  assert.equal(large.stream.waitingBytes, 8 * MIB - 50_000)

  const small = ask(ours, '/small', 'quick')

  assert.deepEqual(await small.ended, { how: 'done' })
  assert.equal(String(small.body), 'quick')
  const [stream] = slow
  assert.ok(stream)
  stream.respond({ ':status': 200 })
  const body = Buffer.concat((await stream.toArray()) as Buffer[])
  assert.equal(body.length, 8 * MIB)
})

test('windows that get smaller and larger while a body waits hold it and let it go', async (t) => {
  const { ours, node } = await dialNode(t, () => {}, { settings: { initialWindowSize: 10_000 } })
  await settled(node)
  const call = ask(ours, '/', Buffer.alloc(50_000))
  await settled(node)
  assert.equal(call.stream.waitingBytes, 40_000)
  const settings = (initialWindowSize: number): Promise<void> =>
    new Promise((resolve) => node.settings({ initialWindowSize }, () => resolve()))

  await settings(0)
  await settings(10_500)
  await settled(node)
  assert.equal(call.stream.waitingBytes, 39_500)
  await settings(60_000)
  await settled(node)

  assert.equal(call.stream.waitingBytes, 0)
})

for (const limit of [1, 5]) {
  test(`a server that takes ${limit} at a time gets all calls, in order, and none too many`, async (t) => {
    let open = 0
    let most = 0
    const paths: string[] = []
    const dialled = await dialNode(
      t,
      (stream, path) => {
        open += 1
        most = Math.max(most, open)
        paths.push(path)
        stream.on('close', () => {
          open -= 1
        })
        echo(stream)
      },
      { settings: { maxConcurrentStreams: limit } },
    )
    await settled(dialled.node)
    const calls = Array.from({ length: 300 }, (_, n) => ask(dialled.ours, `/${n}`, `body ${n}`))
    const isCancelled = (n: number): boolean => n % 7 === 6
    for (const [n, { stream }] of calls.entries()) {
      if (isCancelled(n)) stream.reset(ERROR_CODE.cancel)
    }

    const ends = await Promise.all(calls.map(({ ended }) => ended))

    assert.deepEqual(
      ends.map(({ how }) => how),
      calls.map((_, n) => (isCancelled(n) ? 'local' : 'done')),
    )
    const served = [...calls.keys()].filter((n) => !isCancelled(n))
    assert.deepEqual(
      paths,
      served.map((n) => `/${n}`),
    )
    for (const n of served) assert.equal(String(calls[n]?.body), `body ${n}`)
    assert.ok(most <= limit, String(most))
    await goesAtOnce(dialled)
  })
}

test('thousands of calls that wait for one place are all served', async (t) => {
  const { ours, node } = await dialNode(t, (stream) => stream.respond({}, { endStream: true }), {
    settings: { maxConcurrentStreams: 1 },
  })
  await settled(node)
  const calls = Array.from({ length: 3_000 }, () => openCall(ours))
  for (const { stream } of calls) stream.begin(requestTo('/'), true)

  const ends = await Promise.all(calls.map(({ ended }) => ended))

  assert.ok(ends.every(({ how }) => how === 'done'))
})

test('1xx answers are passed over', async (t) => {
  const { ours } = await dialNode(t, (stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' })
    stream.additionalHeaders({ ':status': 102 })
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  const call = ask(ours)
  await call.ended

  assert.deepEqual(
    call.heard.map((list) => headerValue(list, ':status')),
    ['200'],
  )
})

test('headers of 100 KiB go both ways', async (t) => {
  // nghttp2 takes no single value of more than 64 KiB.
  const value = 'v'.repeat(50_000)
  const { ours, node } = await dialNode(
    t,
    (stream, _path, { x, y }) => stream.respond({ x, y }, { endStream: true }),
    { maxSendHeaderBlockLength: 200_000, settings: { maxHeaderListSize: 200_000 } },
  )
  await settled(node)
  const call = openCall(ours)
  call.stream.begin(requestTo('/', ['x', value, 'y', value]), true)
  await call.ended

  const [list] = call.heard
  assert.ok(list)
  assert.deepEqual([headerValue(list, 'x'), headerValue(list, 'y')], [value, value])
})

test('an answer with headers of more than 128 KiB is refused alone', async (t) => {
  const value = 'v'.repeat(50_000)
  const { ours } = await dialNode(
    t,
    (stream, path) => {
      if (path === '/small') echo(stream)
      else stream.respond({ a: value, b: value, c: value })
    },
    { maxSendHeaderBlockLength: 300_000 },
  )
  const long = ask(ours, '/long')

  assert.deepEqual(await long.ended, { how: 'streamError' })
  assert.deepEqual(await ask(ours, '/small').ended, { how: 'done' })
})

test('a reset by the server is told with its code, behind what came before', async (t) => {
  const dialled = await dialNode(t, (stream) => {
    stream.respond({ ':status': 200 })
    stream.write('a beginning', () => stream.close(ERROR_CODE.internalError))
  })
  const call = openCall(dialled.ours)
  call.stream.begin(requestTo('/'), false)

  assert.deepEqual(await call.ended, { how: 'reset', code: ERROR_CODE.internalError })
  assert.equal(String(call.body), 'a beginning')
  await goesAtOnce(dialled)
})

test('a reset of ours reaches the server, in whichever state', async (t) => {
  const streams: ServerHttp2Stream[] = []
  const dialled = await dialNode(t, (stream) => streams.push(stream))
  const closed = async (index: number): Promise<unknown> => {
    const stream = streams[index]
    assert.ok(stream)
    if (!stream.closed) await new Promise((resolve) => stream.on('close', resolve))
    return stream.rstCode
  }
  const states: Readonly<Record<string, (call: OurCall) => void>> = {
    begun: () => {},
    'half closed': ({ stream }) => stream.sendData(Buffer.alloc(0), true),
    'with a body that waits': ({ stream }) => stream.sendData(Buffer.alloc(MIB), true),
  }
  for (const [index, bring] of Object.values(states).entries()) {
    const call = openCall(dialled.ours)
    call.stream.begin(requestTo('/'), false)
    bring(call)
    await settled(dialled.node)
    call.stream.reset(ERROR_CODE.cancel)

    assert.equal(await closed(index), ERROR_CODE.cancel)
    assert.deepEqual(call.ends, [{ how: 'local' }])
  }
  await goesAtOnce(dialled)
})

test('a call that is reset while it is queued never reaches the server', async (t) => {
  const paths: string[] = []
  const dialled = await dialNode(t, (stream, path) => {
    paths.push(path)
    echo(stream)
  })
  const queued = ask(dialled.ours, '/queued')
  queued.stream.reset(ERROR_CODE.cancel)
  const unbegun = openCall(dialled.ours)
  unbegun.stream.reset(ERROR_CODE.cancel)
  unbegun.stream.begin(requestTo('/unbegun'), true)
  await ask(dialled.ours, '/last').ended

  assert.deepEqual(paths, ['/last'])
  assert.deepEqual([queued.ends, unbegun.ends], [[{ how: 'local' }], [{ how: 'local' }]])
  await goesAtOnce(dialled)
})

test('after GOAWAY of the server the calls under way finish, and then it closes', async (t) => {
  const streams: ServerHttp2Stream[] = []
  const { ours, node } = await dialNode(t, (stream) => streams.push(stream))
  const call = ask(ours, '/', 'body')
  await settled(node)
  node.goaway()
  await settled(node)
  assert.equal(ours.connection.isOpen, false)
  assert.deepEqual(call.ends, [])

  streams.forEach(echo)
  node.close()

  assert.deepEqual(await call.ended, { how: 'done' })
  assert.equal(await ours.closed, undefined)
})

test('after GOAWAY of ours the calls under way finish, and then it closes', async (t) => {
  const { ours, node } = await dialNode(t, echo)
  const call = ask(ours, '/', Buffer.alloc(MIB))
  await settled(node)
  ours.connection.goAway()
  assert.equal(ours.connection.isOpen, false)

  assert.deepEqual(await call.ended, { how: 'done' })
  assert.equal(call.bytes, MIB)
  assert.equal(await ours.closed, undefined)
})

test('a server that dies in the midst ends all calls, once', async (t) => {
  const { ours, node } = await dialNode(
    t,
    (stream) => {
      stream.respond({ ':status': 200 })
      stream.write(Buffer.alloc(100_000))
    },
    { settings: { maxConcurrentStreams: 2 } },
  )
  await settled(node)
  const calls = Array.from({ length: 5 }, () => ask(ours, '/', Buffer.alloc(MIB)))
  await settled(node)

  node.destroy()

  await ours.closed
  assert.deepEqual(
    calls.map(({ ends }) => ends.length),
    [1, 1, 1, 1, 1],
  )
})

test('a server that is not there is the cause, and the call is gone', async (t) => {
  const ours = dialPath(t, `${temporaryFolder(t)}/nobody.sock`)
  const call = ask(ours)

  assert.match(String(await ours.closed), /ENOENT/)

  assert.deepEqual(call.ends, [{ how: 'lost' }])
  assert.deepEqual([ours.connection.isOpen, ours.connection.settingsReceived], [false, false])
})

test('a server that hangs up without a word is left, and the call is gone', async (t) => {
  const path = `${temporaryFolder(t)}/mute.sock`
  await startRawServer(t, (socket) => socket.end(), { path })
  const ours = dialPath(t, path)
  const call = ask(ours)

  assert.deepEqual(await call.ended, { how: 'lost' })
  assert.equal(ours.connection.settingsReceived, false)
})

test('a server that speaks HTTP/1 is left', async (t) => {
  const path = `${temporaryFolder(t)}/old.sock`
  const refusal = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
  await startRawServer(t, (socket) => socket.end(refusal), { path })
  const ours = dialPath(t, path)
  const call = ask(ours)

  assert.equal((await ours.closed)?.name, 'ConnectionError')
  assert.deepEqual(call.ends, [{ how: 'lost' }])
})
