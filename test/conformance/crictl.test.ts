import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Program, runProgram, startProgram } from '../support/program.ts'
import { requireStack, temporaryFolder } from '../support/stack.ts'
import { startCriNode } from './cri/node.ts'
import { startContainer } from './cri/pods.ts'

const PROGRAMS = { containerd: ['containerd', 'runc', 'crictl'], 'crio-like': ['crictl'] } as const
const EVENTS_LIMIT_MS = 60_000

for (const runtime of ['containerd', 'crio-like'] as const) {
  test(`crictl pulls, lists, inspects and removes by the names it asks for, on ${runtime}`, async (t) => {
    if (!requireStack(t, PROGRAMS[runtime])) return
    const node = await startCriNode(t, runtime)
    const { full, image, name, repository } = await node.publish()
    const id = node.idOf(image)
    const crictl = (...args: string[]) => runProgram('crictl', [...at(t, node.socketPath), ...args])

    const pulled = await crictl('pull', name)
    const { images } = JSON.parse(await crictl('images', '--output', 'json'))
    const digests = await crictl('images', '--digests')
    const inspected = JSON.parse(await crictl('inspecti', '--output', 'json', name))
    const removed = await crictl('rmi', name)

    assert.equal(pulled, `Image is up to date for ${id}\n`)
    assert.deepEqual(images.map(shownOf), [
      { id, repoTags: [full], repoDigests: [`${repository}@${image.digest}`] },
    ])
    assert.match(digests, new RegExp(`${repository} +1 +${image.digest.slice(7, 20)}`))
    assert.deepEqual(shownOf(inspected.status), shownOf(images[0]))
    assert.match(removed, new RegExp(`Deleted: ${full}`))
    await assert.rejects(crictl('inspecti', name), /no such image/)
    await assert.rejects(crictl('pull', `${node.origin.host}/library/none:1`), /NotFound|404/)
  })

  test(`crictl events tells of containers by the names they were asked for, on ${runtime}`, async (t) => {
    if (!requireStack(t, PROGRAMS[runtime])) return
    const node = await startCriNode(t, runtime)
    const { full, image, name, repository } = await node.publish()
    const ref = await node.kubelet.pullImage(name)
    const events = startProgram('crictl', [...at(t, node.socketPath), 'events', '-o', 'json'])
    t.after(() => events.kill())

    // crictl does not say when it listens.
    const begunAt = performance.now()
    while (statusesIn(events).length === 0 && events.running()) {
      assert.ok(performance.now() - begunAt < EVENTS_LIMIT_MS, events.output())
      // Before the node goes, so does the container: with a test of its own.
      await t.test('a container', async (own) => {
        await startContainer(own, node, ref, name)
      })
    }

    if (!events.running()) {
      const direct = runProgram('crictl', [...at(t, node.runtimeSocket), 'events'])
      await assert.rejects(direct, /Unimplemented/)
      assert.match(events.output(), /Unimplemented/)
      return
    }
    for (const { image: shown, imageRef } of statusesIn(events)) {
      assert.equal(shown.image, full)
      assert.equal(imageRef, `${repository}@${image.digest}`)
    }
  })
}

/** As an operator has it, in a file. */
function at(t: TestContext, socketPath: string): readonly string[] {
  const file = join(temporaryFolder(t), 'crictl.yaml')
  const endpoint = `unix://${socketPath}`
  writeFileSync(file, `runtime-endpoint: ${endpoint}\nimage-endpoint: ${endpoint}\n`)
  return ['--config', file]
}

function shownOf({ id, repoTags, repoDigests }: Pick<Shown, 'id' | 'repoTags' | 'repoDigests'>) {
  return { id, repoTags, repoDigests }
}

interface Shown {
  readonly id: string
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
}

interface ContainerStatus {
  readonly image: { readonly image: string }
  readonly imageRef: string
}

/** Of containers, in the whole events that were printed; events of pods have none. */
function statusesIn(events: Program): readonly ContainerStatus[] {
  const whole = events.output().match(/^\{\n.*?^\}$/gms) ?? []
  return whole.flatMap((event) => JSON.parse(event).containersStatuses ?? [])
}
