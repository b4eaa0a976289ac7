import assert from 'node:assert/strict'
import { once } from 'node:events'
import { status } from '@grpc/grpc-js'
import { hanging, type RuntimeCall, respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import { framed } from '../../support/grpc-frames.ts'
import { ALL, BOTH_ROUTES, onEach, scriptOf } from './behaviour.ts'
import { outcomeOf } from './outcome.ts'
import { message, NOTHING } from './wire.ts'

const SERVICES = ['/runtime.v1.ImageService', '/runtime.v1.RuntimeService']
const STATUS = '/runtime.v1.RuntimeService/Status'
const PULL = '/runtime.v1.ImageService/PullImage'
/** It has no registry, so the request goes to the runtime as it came. */
const BY_ID = message([1, message([1, `sha256:${'a'.repeat(64)}`])])
const UNTOUCHED = Buffer.from('0a04deadbeefa2010361ff629a0603c3280009ff', 'hex')
const METADATA = {
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  'x-trace-bin': 'AP8B',
  'x-plain': 'kept',
}

onEach(BOTH_ROUTES, (behaviour) => {
  behaviour('35', 'methods that nobody has heard of are relayed', async (node, t) => {
    const client = openGrpcClient(t, node.socketPath)

    for (const service of SERVICES) {
      for (const answers of [['one'], ['one', '', 'three']]) {
        const method = `${service}/Foresee${answers.length}`
        const fed: Buffer[][] = []
        scriptOf(node).fake.handle(method, async ({ request, stream }) => {
          fed.push(await request)
          respond(stream, [...answers.map((each) => Buffer.from(each)), UNTOUCHED])
        })

        const { code, messages } = await client.call(method, [UNTOUCHED])

        assert.equal(code, 0)
        assert.deepEqual(fed, [[UNTOUCHED]])
        assert.deepEqual(messages.slice(0, -1).map(String), answers)
        assert.deepEqual(messages.at(-1), UNTOUCHED)
      }
    }
  })

  behaviour('35', 'a method that the runtime lacks is Unimplemented', async (node, t) => {
    const client = openGrpcClient(t, node.socketPath)
    const direct = openGrpcClient(t, node.runtimeSocket)

    for (const method of SERVICES.map((service) => `${service}/StreamNothing`)) {
      const [ours, theirs] = [
        await client.call(method, [NOTHING]),
        await direct.call(method, [NOTHING]),
      ]

      assert.equal(ours.code, status.UNIMPLEMENTED)
      assert.deepEqual([ours.message, ours.trailersOnly], [theirs.message, true])
    }
  })

  for (const [method, request] of [
    [STATUS, UNTOUCHED],
    [PULL, BY_ID],
  ] as const) {
    const rpc = method.split('/')[2]
    behaviour('36', `${rpc}: a failure keeps code, text, details and trailers`, async (node, t) => {
      const text = 'SignatureValidationFailed: “π” is not signed: 100 %'
      // google.rpc.Status with the same code: grpc-go makes an Internal of any other.
      const details = message([2, text])
      const bin = Buffer.concat([Buffer.from([0x08, 0x02]), details]).toString('base64')
      scriptOf(node).fake.handle(method, ({ stream }) =>
        respond(stream, [], {
          trailers: {
            'grpc-status': '2',
            'grpc-message': encodeURI(text),
            'grpc-status-details-bin': bin.replace(/=+$/, ''),
            'x-trailer': 'kept',
            'x-trailer-bin': 'AP8B',
          },
        }),
      )

      const answer = await openGrpcClient(t, node.socketPath).call(method, [request], METADATA)

      assert.deepEqual([answer.code, answer.message], [2, text])
      const got = Buffer.from(String(answer.trailers['grpc-status-details-bin']), 'base64')
      assert.deepEqual(got, Buffer.from(bin, 'base64'))
      assert.equal(got[1], answer.code)
      assert.equal(answer.trailers['x-trailer'], 'kept')
      assert.equal(answer.trailers['x-trailer-bin'], 'AP8B')
      const call = scriptOf(node)
        .fake.calls.filter(({ path }) => path === method)
        .at(-1)
      for (const [key, value] of Object.entries(METADATA)) assert.equal(call?.headers[key], value)
      assert.deepEqual(await call?.request, [request])
    })
  }

  // Of PullImage what comes before a success is not handed on: it may be the last of several calls.
  behaviour('36', 'an answer keeps what comes before and after it', async (node, t) => {
    scriptOf(node).fake.handle(STATUS, ({ stream }) =>
      respond(stream, [UNTOUCHED], { headers: { 'x-initial': 'i' }, trailers: { 'x-last': 'l' } }),
    )

    const answer = await openGrpcClient(t, node.socketPath).call(STATUS, [NOTHING])

    assert.equal(answer.headers['x-initial'], 'i')
    assert.equal(answer.trailers['x-last'], 'l')
    assert.deepEqual(answer.messages, [UNTOUCHED])
  })

  behaviour('37', 'the runtime has the deadline of the client, and no other', async (node, t) => {
    const { fake } = scriptOf(node)
    const client = openGrpcClient(t, node.socketPath)

    for (const [method, request] of [
      [STATUS, NOTHING],
      [PULL, BY_ID],
    ] as const) {
      const { arrived, hang } = hanging()
      fake.handle(method, hang)
      let call: RuntimeCall | undefined
      // On a busy machine the runtime is not called before a deadline that is so near.
      for (let deadlineMs = 300; call === undefined; deadlineMs *= 4) {
        const calling = outcomeOf(node.kubelet.raw(method, request, { deadlineMs }))
        call = await Promise.race([arrived, calling.then(() => undefined)])
        const timeout = call?.headers['grpc-timeout'] ?? '0m'
        assert.ok(timeoutMs(timeout) <= deadlineMs, String(timeout))
        assert.equal((await calling).code, status.DEADLINE_EXCEEDED)
      }
      const { closed } = call
      assert.notEqual(await closed, 0)

      fake.handle(method, ({ stream }) => respond(stream, [NOTHING]))
      assert.equal((await client.call(method, [request])).code, 0)
      const last = fake.calls.filter(({ path }) => path === method).at(-1)
      assert.equal(last?.headers['grpc-timeout'], undefined)
    }
  })

  behaviour('40', 'a client that leaves takes its calls with it', async (node, t) => {
    const { arrived, hang } = hanging()
    scriptOf(node).fake.handle('/runtime.v1.RuntimeService/Attend', hang)
    const client = openGrpcClient(t, node.socketPath)
    const stream = client.open('/runtime.v1.RuntimeService/Attend')
    const gone = once(stream, 'close')
    stream.end(framed(NOTHING))
    const { closed } = await arrived

    await client.close()

    assert.notEqual(await closed, 0)
    await gone
  })
})

onEach(ALL, (behaviour) => {
  behaviour('37', 'a pull that has a millisecond ends with DeadlineExceeded', async (node) => {
    const { name } = await node.publish()

    const { code } = await outcomeOf(node.kubelet.pullImage(name, undefined, { deadlineMs: 1 }))

    assert.equal(code, status.DEADLINE_EXCEEDED)
  })

  behaviour(
    '37',
    'a pull that is cancelled ends at the mirror, and tries no other',
    async (node) => {
      const { name, path } = await node.publish()
      const leaving = new AbortController()
      const asked = new Promise<void>((resolve) => {
        node.m1.behave(({ path: asks }) => {
          if (!asks.includes('sha256:')) return { kind: 'forward' }
          resolve()
          return { kind: 'hang' }
        })
      })
      const pull = node.kubelet.pullImage(name, undefined, { signal: leaving.signal })
      const ended = assert.rejects(pull)
      await asked

      leaving.abort()
      await ended

      // A pull of another image comes after whatever the first one would have started.
      node.m1.behave({ kind: 'forward' })
      await node.kubelet.pullImage((await node.publish()).name)
      assert.equal(node.pulls().filter((image) => image.includes(path)).length, 1)
      // What the tag is, the next one is asked, too, where this machine is busy.
      const others = [...node.m2.requests, ...node.origin.requests]
        .map((request) => request.path)
        .filter((each) => each.includes(path) && each.includes('sha256:'))
      assert.deepEqual(others, [])
    },
  )
})

function timeoutMs(header: unknown): number {
  const [, digits, unit] = /^(\d+)([mun]|S|M|H)$/.exec(String(header)) ?? []
  const factors: Readonly<Record<string, number>> = { m: 1, u: 1e-3, n: 1e-6, S: 1e3 }
  return Number(digits) * (factors[unit ?? ''] ?? Number.POSITIVE_INFINITY)
}
