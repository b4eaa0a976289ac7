import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { leadKubelet } from '../../../src/install/kubelet-edits.ts'
import { readNode } from '../../../src/install/plan.ts'
import { Root } from '../../../src/install/root.ts'
import { temporaryFolder } from '../../support/stack.ts'

const CONTAINERD = '/run/containerd/containerd.sock'

/** A node whose kubelet has all of its settings in one unit. */
function node(t: TestContext, endpoint: string, mode = 0o644): Root {
  const root = new Root(temporaryFolder(t))
  const unit = root.outside('/etc/systemd/system/kubelet.service')
  mkdirSync(dirname(unit), { recursive: true })
  const command = `/usr/bin/kubelet --token=secret --container-runtime-endpoint=unix://${endpoint}`
  writeFileSync(unit, `[Service]\nExecStart=${command}\n`, { mode })
  return root
}

function config(t: TestContext, value: object): string {
  const file = join(temporaryFolder(t), 'image-resolver.yaml')
  writeFileSync(file, JSON.stringify({ address: 'http://hub.corp:5000', ...value }))
  return file
}

test('a shim at the socket of the runtime is refused', async (t) => {
  const root = node(t, CONTAINERD)
  const file = config(t, { shim: `/var${CONTAINERD}` })

  await assert.rejects(readNode({ root, config: file }), {
    code: 'CONFIG_INVALID',
    message: `${file}: shim: /var${CONTAINERD} is the socket of the runtime itself, ${CONTAINERD}; name another one for the service`,
  })
})

test('a kubelet that leads to the shim already is none of that, where the runtime is known', async (t) => {
  const root = node(t, '/run/shim.sock')

  const { runtime } = await readNode({
    root,
    config: config(t, { shim: '/run/shim.sock', cri: CONTAINERD }),
  })

  assert.equal(runtime, CONTAINERD)
})

test('on a node of microk8s it is said what to write for its kubelet by hand', async (t) => {
  const root = new Root(temporaryFolder(t))
  const path = '/var/snap/microk8s/current/args/kubelet'
  const notes = async () => (await readNode({ root, config: config(t, { shim: '/s.sock' }) })).notes
  const [without] = await notes()
  mkdirSync(dirname(root.outside(path)), { recursive: true })
  writeFileSync(root.outside(path), '--v=2\n')

  const [note = ''] = await notes()

  assert.match(`${without}`, /^no kubelet that systemd starts was found: [^;]*$/)
  const how = `add --image-service-endpoint=unix:///s.sock to ${path} by hand`
  assert.ok(note.includes(`${how}, and restart snap.microk8s.daemon-kubelite;`), note)
})

test('a command that not all may read is copied to a file that not all may read', (t) => {
  for (const [mode, copied] of [
    [0o600, 0o600],
    [0o640, 0o640],
    [0o644, 0o644],
  ] as const) {
    const root = node(t, CONTAINERD, mode)

    const [file] = leadKubelet(root, 'images', '/run/shim.sock')

    assert.match(file?.text ?? '', /--token=secret/)
    assert.equal(file?.mode, copied)
  }
})
