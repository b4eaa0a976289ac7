import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { requestedImage } from '../../../src/cri/image-messages.ts'
import { readString, withString } from '../../../src/cri/wire.ts'
import { BY_DEFAULT } from '../../support/daemon.ts'
import { respond } from '../../support/fake-runtime.ts'
import { openGrpcClient } from '../../support/grpc-client.ts'
import {
  type ProxyAction,
  type RecordedRequest,
  type RegistryProxy,
  startRegistryProxy,
} from '../../support/registry-proxy.ts'
import type { Cleanup } from '../../support/stack.ts'
import { ALL, onEach, onNewNode } from './behaviour.ts'
import type { Places } from './node.ts'
import { outcomeOf } from './outcome.ts'
import { message, NOTHING } from './wire.ts'

type Fault = ProxyAction | ((request: RecordedRequest) => ProxyAction) | 'refuse' | 'tls'

const forward: ProxyAction = { kind: 'forward' }
const answer = (code: number, headers = {}): ProxyAction => ({
  kind: 'answer',
  status: code,
  headers,
})

const FAULTS: Readonly<Record<string, Fault>> = {
  'refuses connections': 'refuse',
  'answers 404': answer(404),
  'answers 401': answer(401, { 'www-authenticate': 'Basic realm="closed"' }),
  'answers 429': answer(429, { 'retry-after': '30' }),
  'answers 500': answer(500),
  'speaks no TLS': 'tls',
  hangs: { kind: 'hang' },
  // What is there is resolved; what is pulled, by digest, breaks off.
  'dies in the middle of a pull': ({ path }) =>
    path.includes('sha256:') ? { kind: 'cut' } : forward,
}

/** Of one fault, so that none has to do with what another left behind. */
const pairs = new Map<string, readonly [RegistryProxy, RegistryProxy]>()
const folderOf = (fault: string): string => `fault-${Object.keys(FAULTS).indexOf(fault)}`

onEach(
  ALL,
  (behaviour, runtime) => {
    for (const [fault, action] of Object.entries(FAULTS)) {
      behaviour('29', `M1 ${fault}: M2 is used, then the origin`, async (node) => {
        const pair = pairs.get(`${node.origin.host} ${fault}`)
        assert.ok(pair)
        const where = { domain: node.origin.host, folder: folderOf(fault) }
        const [one, two] = [await node.publish(where), await node.publish(where)]
        await misbehave(pair[0], action)

        const first = await node.kubelet.pullImage(one.name)
        const askedOfSecond = pair[1].requests.length
        // Two that never answer cost their full time, as in test/e2e/failover.test.ts.
        await misbehave(pair[1], fault === 'hangs' ? 'refuse' : action)
        const second = await node.kubelet.pullImage(two.name)

        assert.equal(first, node.idOf(one.image))
        // What came as it was asked for is answered as this runtime answers: cri-dockerd by a name.
        assert.equal((await node.kubelet.imageStatus(second))?.id, node.idOf(two.image))
        assert.ok(askedOfSecond > 0)
        const byOrigin = node.origin.requests.map(({ path }) => path)
        assert.ok(!byOrigin.some((path) => path.includes(one.path)))
        assert.ok(byOrigin.some((path) => path.includes(two.path)))
        assert.deepEqual((await node.kubelet.imageStatus(two.name))?.repoTags, [two.full])
      })
    }

    for (const code of [401, 404, 500]) {
      const number = code === 404 ? '30' : '29'
      behaviour(number, `the last error begins with that of the origin: ${code}`, async (node) => {
        const { name } = await node.publish({ domain: node.origin.host })
        for (const place of [node.m1, node.m2, node.origin]) place.behave(answer(code))

        const ours = await outcomeOf(node.kubelet.pullImage(name))
        const direct = await outcomeOf(node.direct.pullImage(name))

        for (const place of [node.m1, node.m2, node.origin]) place.behave(forward)
        assert.equal(ours.code, direct.code)
        const added = ours.details.slice(direct.details.length)
        assert.equal(ours.details, direct.details + added)
        assert.match(added, /^; image-resolver: .*; see: image-resolver resolve --explain \S+$/)
        if (runtime !== 'containerd') return
        assert.equal(ours.code, code === 404 ? status.NOT_FOUND : status.UNKNOWN)
        const begins = `failed to pull and unpack image "${name}": `
        assert.equal(ours.details.slice(0, begins.length), begins)
      })
    }

    behaviour('31', 'what looks and removes does without the network', async (node) => {
      const { name } = await node.publish()
      await node.kubelet.pullImage(name)
      for (const place of [node.m1, node.m2, node.origin]) place.behave({ kind: 'hang' })
      const before = node.requests().length
      const { kubelet } = node

      await kubelet.imageStatus(name)
      await kubelet.imageStatus('never:1')
      await kubelet.listImages()
      await kubelet.removeImage('never:1')
      await kubelet.raw('/runtime.v1.ImageService/ImageFsInfo', NOTHING)

      for (const place of [node.m1, node.m2, node.origin]) place.behave(forward)
      assert.equal(node.requests().length, before)
    })
  },
  configure,
)

onNewNode(
  ['crio-like'],
  '29',
  'the prefix that the kubelet reads stays first',
  async (start, t) => {
    const node = await start()
    const { name } = await node.publish({ domain: node.origin.host })
    const text = 'RegistryUnavailable: the origin; “it” is away'
    const details = Buffer.from(message([2, text])).toString('base64')
    node.scripted?.fake.handle('/runtime.v1.ImageService/PullImage', async (call) => {
      const [request = NOTHING] = await call.request
      const isOrigin = requestedImage(request) === name
      respond(call.stream, [], {
        trailers: {
          'grpc-status': isOrigin ? '2' : '13',
          'grpc-message': encodeURI(isOrigin ? text : 'the mirror'),
          ...(isOrigin ? { 'grpc-status-details-bin': details, 'x-other': 'kept' } : {}),
        },
      })
    })
    const request = Buffer.from(message([1, withString(NOTHING, 1, name)]))

    const failed = await openGrpcClient(t, node.socketPath).call(
      '/runtime.v1.ImageService/PullImage',
      [request],
    )

    assert.equal(failed.code, status.UNKNOWN)
    assert.ok(failed.message.startsWith(`${text}; image-resolver: `), failed.message)
    assert.match(failed.message, /the pull failed: the mirror; see: image-resolver resolve /)
    assert.equal(failed.trailers['x-other'], 'kept')
    const told = Buffer.from(String(failed.trailers['grpc-status-details-bin']), 'base64')
    assert.equal(readString(told, 2), failed.message)
    assert.match(node.daemon.program().output(), /the mirror/)
  },
)

async function configure(
  { behind, m1, m2, origin }: Places,
  _: string,
  t: Cleanup,
): Promise<object> {
  const healthy = ['docker.io', `${origin.host}/library`]
  const registries: object[] = [
    { address: m1.url, priority: 1000, upstreams: healthy },
    { address: m2.url, priority: 500, upstreams: healthy },
  ]
  for (const [fault, action] of Object.entries(FAULTS)) {
    const upstreams = [`${origin.host}/${folderOf(fault)}`]
    const [first, second] = [
      await startRegistryProxy(t, behind),
      await startRegistryProxy(t, behind),
    ]
    pairs.set(`${origin.host} ${fault}`, [first, second])
    const scheme = action === 'tls' ? 'https' : 'http'
    registries.push({ address: `${scheme}://${first.host}`, priority: 1000, upstreams })
    registries.push({ address: second.url, priority: 900, upstreams })
  }
  // One of them never answers.
  return { ...BY_DEFAULT, address: undefined, registries }
}

async function misbehave(proxy: RegistryProxy, fault: Fault): Promise<void> {
  if (fault === 'refuse') await proxy.refuse()
  else proxy.behave(fault === 'tls' ? { kind: 'cut' } : fault)
}
