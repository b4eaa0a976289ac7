import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RuntimeChannel } from '../../../../src/runtime/channel.ts'
import { createNameTable } from '../../../../src/runtime/names/name-table.ts'

const TARGET = { mediaType: 'm', digest: `sha256:${'d'.repeat(64)}`, size: '1', annotations: {} }
const MANAGED = { 'io.cri-containerd.image': 'managed' }

interface Written {
  readonly image: { readonly name: string; readonly labels: object }
  readonly updateMask?: { readonly paths: readonly string[] }
}

/** The labels of each name that is created, and what of a name is changed. */
function recordingChannel() {
  const created: Record<string, unknown> = {}
  const updates: unknown[] = []
  const lost: (() => void)[] = []
  const channel = {
    onLost: (listener: () => void) => lost.push(listener),
    call: async (_method: unknown, { image, updateMask }: Written) => {
      if (updateMask === undefined) created[image.name] = image.labels
      else updates.push([image.name, image.labels, updateMask.paths])
      return {}
    },
  } as unknown as RuntimeChannel
  const lose = (): void => {
    for (const listener of lost) listener()
  }
  return { channel, created, updates, lose }
}

test('a new name has the label that containerd would write, but not the one that it may pin', async () => {
  const { channel, created } = recordingChannel()
  const table = createNameTable(channel, async () => 'pause:3.6')

  for (const name of ['docker.io/library/x:1', 'docker.io/library/pause:3.6']) {
    assert.equal(await table.create(name, TARGET), true)
  }

  assert.deepEqual(created, {
    'docker.io/library/x:1': MANAGED,
    'docker.io/library/pause:3.6': {},
  })
})

test('the sandbox image lacks a pin until it has the label, which an update gives to it alone', async () => {
  const { channel, updates } = recordingChannel()
  const table = createNameTable(channel, async () => 'pause:3.6')
  const [pause, other] = ['docker.io/library/pause:3.6', 'docker.io/library/x:1'] as const
  const pinned = { 'io.cri-containerd.pinned': 'pinned' }

  const lacking = await Promise.all([
    table.lacksPin({ name: pause, labels: MANAGED, target: TARGET }),
    table.lacksPin({ name: pause, labels: pinned, target: TARGET }),
    table.lacksPin({ name: other, labels: MANAGED, target: TARGET }),
  ])
  await table.update(pause, TARGET)
  await table.update(other, TARGET)

  assert.deepEqual(lacking, [true, false, false])
  assert.deepEqual(updates, [
    [pause, pinned, ['target', 'labels.io.cri-containerd.pinned']],
    [other, {}, ['target']],
  ])
})

const UNKNOWN: readonly (readonly [string, () => Promise<string | undefined>])[] = [
  ['is not said', async () => undefined],
  ['is empty', async () => ''],
  ['is no reference', async () => 'Pause:3.6'],
  ['cannot be asked for', () => Promise.reject(new Error('away'))],
]
for (const [what, sandboxImage] of UNKNOWN) {
  test(`where the sandbox image ${what}, containerd labels new names itself`, async () => {
    const { channel, created } = recordingChannel()

    await createNameTable(channel, sandboxImage).create('docker.io/library/x:1', TARGET)

    assert.deepEqual(created, { 'docker.io/library/x:1': {} })
  })
}

test('the sandbox image is asked for once, and again after the connection was lost', async () => {
  const { channel, created, lose } = recordingChannel()
  const answers = ['x:1', 'pause:3.6']
  const table = createNameTable(channel, async () => answers.shift())

  await table.create('docker.io/library/x:1', TARGET)
  await table.create('docker.io/library/x:2', TARGET)
  lose()
  await table.create('docker.io/library/x:3', TARGET)

  assert.deepEqual(created, {
    'docker.io/library/x:1': {},
    'docker.io/library/x:2': MANAGED,
    'docker.io/library/x:3': MANAGED,
  })
  assert.deepEqual(answers, [])
})
