import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import { status } from '@grpc/grpc-js'
import { requestedImage } from '../../../src/cri/image-messages.ts'
import { MAIN } from '../../support/daemon.ts'
import { respond, respondStatus } from '../../support/fake-runtime.ts'
import { startProgram } from '../../support/program.ts'
import { createRuntimeGate, type RuntimeGate } from '../../support/runtime-gate.ts'
import { ALL, onEach, onNewNode, SCRIPTED, scriptOf } from './behaviour.ts'
import type { CriNode } from './node.ts'
import { until, works } from './poll.ts'
import { message, NOTHING } from './wire.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const STARTING = 'server is not initialized yet'

onEach(ALL, (behaviour) => {
  behaviour('27', 'a runtime that goes ends its calls, and is used when back', async (node) => {
    const { name } = await node.publish()
    const held = new Promise<void>((resolve) => {
      node.m1.behave(({ path }) => {
        if (!path.includes('sha256:')) return { kind: 'forward' }
        // It is the runtime that asks by digest, so this pull is in its hands.
        resolve()
        return { kind: 'hang' }
      })
    })
    const pull = assert.rejects(node.kubelet.pullImage(name), { code: status.UNAVAILABLE })
    await held

    await node.stopRuntime()
    await pull
    await assert.rejects(node.kubelet.imageStatus(name), { code: status.UNAVAILABLE })
    await assert.rejects(node.kubelet.removeImage(name), { code: status.UNAVAILABLE })
    await node.startRuntime()

    node.m1.behave({ kind: 'forward' })
    await until(() => works(() => node.kubelet.imageStatus(name)))
    await until(() => works(() => node.kubelet.pullImage(name)))
    assert.equal((await node.kubelet.imageStatus(name))?.repoTags.length, 1)
  })

  behaviour('28', 'a dead socket is replaced, a live one left alone', async (node, t) => {
    await node.daemon.kill()
    assert.ok(existsSync(node.socketPath))

    await node.daemon.start()
    const second = startProgram(process.execPath, [...MAIN, '--config', node.daemon.configFile])
    t.after(() => second.stop())
    await second.line(/another instance serves/)
    await second.stop()

    assert.ok(existsSync(node.socketPath))
    assert.notEqual((await node.kubelet.version()).runtimeName, '')
  })
})

onNewNode(
  ['containerd'],
  '25',
  'killed between pull and naming, nothing is wrong',
  async (start, t) => {
    let gate: RuntimeGate | undefined
    let reached: Promise<{ readonly reached: Promise<void> }> | undefined
    const node = await start((_, runtimeSocket) => {
      gate = createRuntimeGate(t, runtimeSocket)
      reached = gate.open('/containerd.services.images.v1.Images/Create')
      return { cri: gate.path }
    })

    await assertMended(t, node, (await reached)?.reached, async () => {
      await gate?.close()
      await gate?.open()
    })
  },
)

onNewNode(SCRIPTED, '25', 'killed between pull and naming, nothing is wrong', async (start, t) => {
  const node = await start()
  const { fake, pull } = scriptOf(node)
  let isHeld = true
  const reached = new Promise<void>((resolve) => {
    fake.handle(PULL, async (call) => {
      const [request = NOTHING] = await call.request
      const { id } = await pull(requestedImage(request))
      if (isHeld) return resolve()
      respond(call.stream, [message([1, id])])
    })
  })

  await assertMended(t, node, reached, async () => {
    isHeld = false
  })
})

onNewNode(['crio-like'], '27', 'what a starting runtime says comes back', async (start) => {
  const node = await start()
  const { fake } = scriptOf(node)
  const { name } = await node.publish()
  for (const rpc of ['ImageStatus', 'ListImages', 'PullImage', 'RemoveImage']) {
    fake.handle(`/runtime.v1.ImageService/${rpc}`, ({ stream }) =>
      respondStatus(stream, status.UNAVAILABLE, STARTING),
    )
  }

  const { kubelet } = node
  for (const call of [
    () => kubelet.imageStatus(name),
    () => kubelet.listImages(),
    () => kubelet.pullImage(name),
    () => kubelet.removeImage(name),
  ]) {
    await assert.rejects(call(), { code: status.UNAVAILABLE, details: STARTING })
  }
})

onNewNode(
  ['crio-like'],
  '28',
  'SIGTERM lets a pull finish, then the socket goes',
  async (start) => {
    const node = await start()
    const { fake, pull } = scriptOf(node)
    const { image, name } = await node.publish()
    let release = () => {}
    const reached = new Promise<void>((resolve) => {
      fake.handle(PULL, async (call) => {
        const [request = NOTHING] = await call.request
        const { id } = await pull(requestedImage(request))
        release = () => respond(call.stream, [message([1, id])])
        resolve()
      })
    })

    const pulling = node.kubelet.pullImage(name)
    await reached
    const stopping = node.daemon.stop()
    await node.daemon.program().line(/"ending"/)
    release()

    assert.equal(await pulling, node.idOf(image))
    assert.equal(await stopping, 0)
    assert.ok(!existsSync(node.socketPath))
  },
)

/** Kills the service where it is held; afterwards no name leads to a wrong image, and pulls work. */
async function assertMended(
  t: TestContext,
  node: CriNode,
  reached: Promise<void> | undefined,
  letGo: () => Promise<void>,
): Promise<void> {
  const { full, image, name, repository } = await node.publish()
  const pull = assert.rejects(node.kubelet.pullImage(name))
  await reached
  await node.daemon.kill()
  await pull
  await letGo()
  await node.daemon.start()

  const between = await node.kubelet.imageStatus(name)
  const ref = await node.kubelet.pullImage(name)
  const found = await node.kubelet.imageStatus(name)

  assert.ok(between === undefined || between.id === node.idOf(image))
  assert.equal(ref, node.idOf(image))
  assert.equal(found?.id, ref)
  assert.deepEqual([found.repoTags, found.repoDigests], [[full], [`${repository}@${image.digest}`]])
  t.diagnostic(`found before the second pull: ${between !== undefined}`)
}
