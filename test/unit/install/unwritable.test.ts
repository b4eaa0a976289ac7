import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { KUBEADM_FILES, packagedNode } from '../../support/packaged-node.ts'
import { runProgram } from '../../support/program.ts'
import { mountDisk, remountDisk } from '../../support/small-disk.ts'
import { skipLacking, temporaryFolder } from '../../support/stack.ts'

const EXTRA = '/etc/default/kubelet'
const WANTS = '/etc/systemd/system/multi-user.target.wants/image-resolver.service'
const FILES = { ...KUBEADM_FILES, [EXTRA]: 'KUBELET_EXTRA_ARGS=--v=2\n' }

/** Makes a file or folder immutable. @returns what ends that; undefined, and the test skipped, where it cannot be */
async function makeImmutable(
  t: TestContext,
  path: string,
): Promise<(() => Promise<unknown>) | undefined> {
  try {
    await runProgram('chattr', ['+i', path])
  } catch {
    skipLacking(t, 'no file can be made immutable here')
    return undefined
  }
  const end = async () => existsSync(path) && runProgram('chattr', ['-i', path])
  t.after(end)
  return end
}

/** A node on a file system of its own. */
async function nodeOnDisk(t: TestContext) {
  const disk = await mountDisk(t, 'size=4m')
  if (disk === undefined) return undefined
  const node = packagedNode(join(disk, 'root'), FILES)
  return { node, bare: node.snapshot() }
}

test('install names the file that is immutable, with what mends it, and puts back the rest', async (t) => {
  const node = packagedNode(temporaryFolder(t), FILES)
  const bare = node.snapshot()
  const end = await makeImmutable(t, node.root.outside(EXTRA))
  if (end === undefined) return

  await assert.rejects(node.install(), {
    code: 'DENIED',
    message:
      /\/etc\/default\/kubelet cannot be written: it is immutable.*chattr -i.*; what was changed is put back$/,
  })

  assert.deepEqual(node.snapshot(), bare)
  await end()
  await node.install()
  assert.equal(await node.uninstall(), true)
})

test('uninstall puts back all but the file in a folder that is immutable, names it, and ends when it is run again', async (t) => {
  const node = packagedNode(temporaryFolder(t), FILES)
  mkdirSync(dirname(node.root.outside(WANTS)), { recursive: true })
  const bare = node.snapshot()
  await node.install()
  node.said()
  const end = await makeImmutable(t, dirname(node.root.outside(WANTS, false)))
  if (end === undefined) return

  for (const _run of ['first', 'second']) {
    assert.equal(await node.uninstall(), false)
    const said = node.said()
    assert.equal(node.read(EXTRA), 'KUBELET_EXTRA_ARGS=--v=2\n')
    assert.match(
      said.at(-2) ?? '',
      /^\S+: left: \S+multi-user\.target\.wants\/image-resolver\.service cannot be written: it is immutable/,
    )
    assert.match(said.at(-1) ?? '', /uninstalled but for what is named above; uninstall again/)
    assert.equal(said.length, 2, said.join('\n'))
  }
  await end()
  assert.equal(await node.uninstall(), true)
  assert.deepEqual(node.said(), ['image-resolver: uninstalled'])
  assert.deepEqual(node.snapshot(), bare)
})

test('where a file of kubelet is immutable, uninstall does not stop the service, and ends when it is run again', async (t) => {
  const node = packagedNode(temporaryFolder(t), FILES)
  const bare = node.snapshot()
  await node.install()
  const calls: string[] = []
  const run = async (...args: readonly string[]) => {
    calls.push(args.join(' '))
    return ''
  }
  const manager = { name: 'systemctl', run }
  const end = await makeImmutable(t, node.root.outside(EXTRA))
  if (end === undefined) return

  for (const _run of ['first', 'second']) {
    await assert.rejects(node.uninstall({ manager }), {
      code: 'DENIED',
      message:
        /\/etc\/default\/kubelet cannot be written: .*chattr -i.*not stopped: uninstall again/,
    })
  }
  assert.equal(calls.length, 0)
  await end()
  assert.equal(await node.uninstall({ manager }), true)
  assert.ok(calls.includes('stop image-resolver.socket image-resolver.service'))
  assert.deepEqual(node.snapshot(), bare)
})

test('an upgrade that cannot take away a secret of before says so, and the next does', async (t) => {
  const node = packagedNode(temporaryFolder(t), FILES)
  const secrets = temporaryFolder(t)
  const token = '/etc/image-resolver/secrets/token'
  writeFileSync(join(secrets, 'token'), 's3cret')
  await node.install({ secrets })
  const end = await makeImmutable(t, node.root.outside(token))
  if (end === undefined) return

  const without = { secrets: temporaryFolder(t) }
  await assert.rejects(node.install(without), /secrets\/token cannot be written.*is installed/)
  await end()
  await node.install(without)

  assert.ok(!existsSync(node.root.outside(token)))
  assert.equal(await node.uninstall(), true)
})

test('an immutable file of the state is named, and goes when uninstall is run again', async (t) => {
  const node = packagedNode(temporaryFolder(t), FILES)
  const bare = node.snapshot()
  await node.install()
  const state = '/var/lib/image-resolver/tags.ndjson'
  node.write(state, '')
  const end = await makeImmutable(t, node.root.outside(state))
  if (end === undefined) return

  const message = /\/var\/lib\/image-resolver\/tags\.ndjson cannot be written: it is immutable/
  await assert.rejects(node.uninstall(), { code: 'DENIED', message })
  await assert.rejects(node.uninstall(), { code: 'DENIED', message })
  await end()
  assert.equal(await node.uninstall(), true)
  assert.deepEqual(node.snapshot(), bare)
})

test('a file system that is read-only is named by install and by uninstall', async (t) => {
  const on = await nodeOnDisk(t)
  if (on === undefined) return
  const { node, bare } = on
  const disk = dirname(node.root.base)
  await node.install()
  const installed = node.snapshot()
  await remountDisk(disk, 'ro')

  const message = /cannot be written: the file system is read-only: .*remount,rw/
  await assert.rejects(node.uninstall(), { code: 'DENIED', message })
  assert.deepEqual(node.snapshot(), installed)
  await remountDisk(disk, 'rw')
  assert.equal(await node.uninstall(), true)
  assert.deepEqual(node.snapshot(), bare)
  await remountDisk(disk, 'ro')
  await assert.rejects(node.install(), { code: 'DENIED', message })
})
