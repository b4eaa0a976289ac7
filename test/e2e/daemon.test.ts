import assert from 'node:assert/strict'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { withString } from '../../src/cri/wire.ts'
import { criClient } from '../support/cri-client.ts'
import { MAIN } from '../support/daemon.ts'
import { buildImage } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { startProgram } from '../support/program.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

/** Whether it comes true in time; asked over and over. */
async function within(ms: number, isTrue: () => Promise<boolean>): Promise<boolean> {
  const limit = performance.now() + ms
  while (!(await isTrue())) {
    if (performance.now() > limit) return false
  }
  return true
}

test('a runtime that is killed leaves calls Unavailable, the service alive, and is used when back', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)
  await node.kubelet.pullImage('nginx')

  await node.containerd.kill()
  assert.ok(existsSync(node.containerd.socketPath), 'the zombie: a socket file nobody listens on')
  await assert.rejects(node.kubelet.imageStatus('nginx'), { code: status.UNAVAILABLE })
  await assert.rejects(node.kubelet.pullImage('nginx'), { code: status.UNAVAILABLE })
  await assert.rejects(node.kubelet.removeImage('nginx'), { code: status.UNAVAILABLE })
  const ready = await node.get('/readyz')
  assert.equal(ready.status, 503)
  assert.match(JSON.stringify(ready.body), /does not answer/)

  await node.containerd.start()
  const found = await node.kubelet.imageStatus('nginx')
  assert.equal(found?.id, image.imageId)
  assert.ok(await within(60_000, async () => (await node.get('/readyz')).status === 200))
})

test('our socket has the owner and the mode of the runtime’s', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)

  const ours = statSync(node.daemon.socketPath)
  const theirs = statSync(node.containerd.socketPath)

  assert.deepEqual([ours.uid, ours.gid, ours.mode], [theirs.uid, theirs.gid, theirs.mode])
})

test('SIGTERM ends calls under way, removes the socket and exits with 0', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const waiting = new Promise<void>((resolve) => {
    const hang = (): { kind: 'hang' } => {
      resolve()
      return { kind: 'hang' }
    }
    node.first.behave(hang)
    node.second.behave(hang)
  })
  const resolve = '/imageresolver.v1.ImageResolver/ResolveImage'
  const request = withString(new Uint8Array(), 1, `${node.second.host}/team/app:1`)
  const ended = assert.rejects(node.kubelet.raw(resolve, request))
  await waiting

  const code = await node.daemon.stop()

  await ended
  assert.equal(code, 0)
  assert.ok(!existsSync(node.daemon.socketPath))
})

test('a killed service leaves a dead socket behind, and the next one takes its place', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)

  await node.daemon.kill()
  assert.ok(existsSync(node.daemon.socketPath))
  await node.daemon.start()

  assert.equal((await node.kubelet.version()).runtimeName, 'containerd')
})

test('a second service leaves the socket of the first alone', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const second = startProgram(process.execPath, [...MAIN, '--config', node.daemon.configFile])
  t.after(() => second.stop())

  await second.line(/another instance serves .*shim\.sock/)
  await second.stop()

  assert.equal((await node.kubelet.version()).runtimeName, 'containerd')
})

test('a changed configuration takes effect, a bad one changes nothing', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, { reloadInterval: '200ms' })
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)

  node.daemon.configure({ address: node.second.url, reloadInterval: '200ms' })
  await node.daemon.program().line(/configuration reloaded/)
  await node.kubelet.pullImage('nginx')
  node.daemon.configure({ adress: node.first.url })
  await node.daemon.program().line(/configuration not reloaded/)

  assert.deepEqual(node.first.requests, [])
  assert.ok(node.second.requests.length > 0)
  assert.match(node.daemon.program().output(), /did you mean address/)
  const { status: code } = await node.get('/resolve?ref=nginx')
  assert.equal(code, 200)
})

test('credentials reach the registry they are for, and no log', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const { REGISTRY_USER, startDockerRegistry } = await import('../support/docker-registry.ts')
  const closed = await startDockerRegistry(t, { auth: true })
  const { username, password } = REGISTRY_USER
  const node = await startTestNode(t, {
    address: closed.url,
    auth: `${username}:${password}`,
    registries: [],
    debug: true,
  })
  const image = buildImage()
  const { pushImage } = await import('../support/images.ts')
  await pushImage(closed.url, 'library/private', 'latest', image, closed.headers)

  const ref = await node.kubelet.pullImage('private', { username: 'pod', password: 'pod-secret' })

  assert.equal(ref, image.imageId)
  const output = node.daemon.program().output()
  for (const secret of [
    password,
    'pod-secret',
    Buffer.from(`${username}:${password}`).toString('base64'),
  ]) {
    assert.ok(!output.includes(secret))
  }
})

test('a file of image-cri-shim is all that is needed', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, {
    force: true,
    debug: false,
    timeout: '15m',
    reloadInterval: '15s',
    auth: 'admin:passw0rd',
    offlinePriority: 0,
    cache: {
      imageCacheSize: 1024,
      imageCacheTTL: '30m',
      domainCacheTTL: '10m',
      statsLogInterval: '60s',
      disableStats: false,
    },
  })
  const image = buildImage()
  await node.push('library/nginx', 'latest', image)

  assert.equal(await node.kubelet.pullImage('nginx'), image.imageId)
  assert.match(readFileSync(node.daemon.configFile, 'utf8'), /imageCacheTTL/)
  assert.equal((await criClient(t, node.daemon.socketPath).imageStatus('nginx'))?.id, image.imageId)
})
