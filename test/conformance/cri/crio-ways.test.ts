import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { startRegistryProxy } from '../../support/registry-proxy.ts'
import { onNewNode, scriptOf } from './behaviour.ts'
import { outcomeOf } from './outcome.ts'

// What of a real CRI-O differs from containerd on the way to a registry, and is none of our doing.

onNewNode(
  ['crio-like'],
  '29',
  'a plain http mirror that CRI-O lacks is passed over',
  async (start) => {
    const node = await start()
    const { image, name, path } = await node.publish({ domain: node.origin.host })
    scriptOf(node).secureOnly.add(node.m1.host)

    const ref = await node.kubelet.pullImage(name)

    assert.equal(ref, node.idOf(image))
    const { pulls } = scriptOf(node)
    assert.equal(pulls[0], `${node.m1.host}/${path}@${image.digest}`)
    assert.ok(pulls.length > 1 && !pulls.slice(1).some((each) => each.startsWith(node.m1.host)))
    assert.match(node.daemon.program().output(), /pinging container registry/)
  },
)

onNewNode(
  ['crio-like'],
  '29',
  'a pull that is tried as an artifact, too, fails once',
  async (start) => {
    const node = await start()
    const { name, path } = await node.publish({ domain: node.origin.host })
    for (const place of [node.m1, node.m2, node.origin]) {
      place.behave((request) =>
        request.path === '/v2/' ? { kind: 'forward' } : { kind: 'answer', status: 404 },
      )
    }

    const { code, details } = await outcomeOf(node.kubelet.pullImage(name))

    assert.equal(code, status.UNKNOWN)
    assert.match(
      details,
      /^unable to pull image or OCI artifact: pull image err: .+; artifact err: /,
    )
    assert.deepEqual(scriptOf(node).pulls, [name])
    const asked = node.origin.requests.filter(({ headers }) => headers['user-agent'] === 'node')
    const manifest = `/v2/${path}/manifests/1`
    assert.deepEqual(
      asked.map((each) => each.path),
      ['/v2/', manifest, '/v2/', manifest],
    )
  },
)

onNewNode(
  ['crio-like'],
  '32',
  'a pod’s secret goes to a registry that asks for it at /v2/',
  async (start, t) => {
    const node = await start()
    const { image, path } = await node.publish()
    const pair = `Basic ${Buffer.from('pod:s3cret').toString('base64')}`
    const closed = await startRegistryProxy(t, node.behind)
    closed.behave(({ headers }) =>
      headers.authorization === pair
        ? { kind: 'forward' }
        : { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="closed"' } },
    )

    const ref = await node.kubelet.pullImage(`${closed.host}/${path}:1`, {
      username: 'pod',
      password: 's3cret',
    })

    assert.equal(ref, node.idOf(image))
    for (const mirror of [node.m1, node.m2]) {
      assert.ok(mirror.requests.every(({ headers }) => headers.authorization !== pair))
    }
  },
)
