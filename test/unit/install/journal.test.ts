import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Journal } from '../../../src/install/journal.ts'
import { Root } from '../../../src/install/root.ts'
import { temporaryFolder } from '../../support/stack.ts'

const ABOUT = { version: '1', at: '2026-01-01T00:00:00Z', socket: '/s.sock', runtime: '/r.sock' }
const KUBELET = '/var/lib/kubelet/config.yaml'
const UNIT = '/etc/systemd/system/x.service'
const LINK = '/etc/current'

/** A node with one file, which only root may read. */
function node(t: TestContext): Root {
  const root = new Root(temporaryFolder(t))
  for (const path of ['/etc', dirname(KUBELET)]) mkdirSync(root.outside(path), { recursive: true })
  writeFileSync(root.outside(KUBELET), 'a: 1\n')
  chmodSync(root.outside(KUBELET), 0o640)
  return root
}

/** Every path below a root with its kind, mode, owner and content. */
function snapshot({ base }: Root): readonly string[] {
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(base, name)
      const { gid, mode, uid } = lstatSync(path)
      const stats = lstatSync(path)
      const content = stats.isFile()
        ? readFileSync(path, 'utf8')
        : stats.isSymbolicLink()
          ? readlinkSync(path)
          : ''
      return `${name} ${mode.toString(8)} ${uid}:${gid} ${content}`
    })
}

function install(root: Root, version = '1'): Journal {
  const journal = new Journal(root)
  journal.write(UNIT, `unit ${version}\n`, 'unit')
  journal.link(LINK, `versions/${version}`, 'program')
  journal.folder('/var/cache/x', 'state', { whole: true })
  journal.write(KUBELET, `a: 1\nb: ${version}\n`, 'kubelet')
  return journal
}

test('what was changed is put back byte for byte, and what was made is gone', (t) => {
  const root = node(t)
  const before = snapshot(root)

  const journal = install(root)
  journal.commit(ABOUT)
  writeFileSync(root.outside('/var/cache/x/compiled'), 'of the service')
  writeFileSync(root.outside('/var/lib/image-resolver/cache.ndjson'), 'of the service')
  const kubelet = lstatSync(root.outside(KUBELET))
  const left = new Journal(root).end()

  assert.deepEqual([kubelet.mode & 0o777, left], [0o640, []])
  assert.deepEqual(snapshot(root), before)
})

test('the list has every change with what was there and what is, and a copy is kept beside the file', (t) => {
  const root = node(t)

  install(root).commit(ABOUT)

  const list = JSON.parse(
    readFileSync(root.outside('/var/lib/image-resolver/install.json'), 'utf8'),
  )
  const change = list.changes.find(({ path }: { path: string }) => path === KUBELET)
  assert.deepEqual([change.part, change.before.mode, change.after.mode], ['kubelet', 0o640, 0o640])
  assert.match(change.before.sha256, /^[0-9a-f]{64}$/)
  assert.equal(readFileSync(root.outside(change.backup), 'utf8'), 'a: 1\n')
  assert.equal(lstatSync(root.outside(change.backup)).mode & 0o777, 0o640)
  assert.deepEqual(
    new Set(Object.keys(change)),
    new Set(['path', 'part', 'before', 'after', 'backup']),
  )
})

test('a second run changes nothing', (t) => {
  const root = node(t)
  install(root).commit(ABOUT)
  const before = snapshot(root)

  const again = install(root)

  assert.deepEqual(again.pending, [])
  assert.deepEqual(snapshot(root), before)
})

test('a newer version that is of no use is rolled back to the one before, and both to nothing', (t) => {
  const root = node(t)
  const bare = snapshot(root)
  install(root).commit(ABOUT)
  const first = snapshot(root)

  const second = install(root, '2')
  second.rollBack()
  const rolledBack = snapshot(root)
  const third = install(root, '3')
  third.commit({ ...ABOUT, version: '3' })
  const kubelet = readFileSync(root.outside(KUBELET), 'utf8')
  new Journal(root).end()

  assert.deepEqual(rolledBack, first)
  assert.equal(kubelet, 'a: 1\nb: 3\n')
  assert.deepEqual(snapshot(root), bare)
})

test('an interrupted run is continued by the next, and its end puts all back', (t) => {
  const root = node(t)
  const bare = snapshot(root)
  install(root)

  const continued = new Journal(root)
  const pending = continued.pending.length
  install(root, '2').commit(ABOUT)
  const kubelet = readFileSync(root.outside(KUBELET), 'utf8')
  new Journal(root).end()

  assert.ok(pending > 4, `${pending}`)
  assert.equal(kubelet, 'a: 1\nb: 2\n')
  assert.deepEqual(snapshot(root), bare)
})

test('a file that was changed since is left, with the copy, and named', (t) => {
  const root = node(t)
  install(root).commit(ABOUT)
  writeFileSync(root.outside(UNIT), 'mine\n')
  writeFileSync(root.outside(KUBELET), 'mine\n')

  const isForeign = new Journal(root).isForeign(UNIT)
  const left = new Journal(root).end()

  const backup = `${KUBELET}.before-image-resolver`
  assert.ok(isForeign)
  assert.deepEqual(left, [
    { path: KUBELET, backup },
    { path: UNIT, backup: undefined },
    { path: dirname(UNIT), backup: undefined },
    { path: dirname(dirname(UNIT)), backup: undefined },
  ])
  assert.equal(readFileSync(root.outside(KUBELET), 'utf8'), 'mine\n')
  assert.equal(readFileSync(root.outside(backup), 'utf8'), 'a: 1\n')
  assert.ok(!existsSync(root.outside('/var/lib/image-resolver')))
})

test('a file behind a link is changed, and the link stays', (t) => {
  const root = node(t)
  mkdirSync(root.outside('/data'))
  writeFileSync(root.outside('/data/kubelet.env'), 'X=1\n')
  // As that machine reads it: nothing of ours is at /data.
  symlinkSync('/data/kubelet.env', root.outside('/etc/kubelet', false))
  const bare = snapshot(root)

  const journal = new Journal(root)
  journal.write('/etc/kubelet', 'X=2\n', 'kubelet')
  const changed = readFileSync(root.outside('/data/kubelet.env'), 'utf8')
  journal.rollBack()

  assert.equal(changed, 'X=2\n')
  assert.deepEqual(snapshot(root), bare)
})

test('a list that other users may write is not believed', (t) => {
  const root = node(t)
  install(root).commit(ABOUT)
  chmodSync(root.outside('/var/lib/image-resolver/install.json'), 0o666)

  assert.throws(() => new Journal(root), {
    code: 'CONFIG_INVALID',
    message: /install\.json.*others than this user may write it/,
  })
})
