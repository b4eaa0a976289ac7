import assert from 'node:assert/strict'
import fs, {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { basename, dirname, join } from 'node:path'
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

/** What changes the file system. */
const CALLS = [
  'chmodSync',
  'fchmodSync',
  'fchownSync',
  'fsyncSync',
  'futimesSync',
  'mkdirSync',
  'renameSync',
  'rmSync',
  'rmdirSync',
  'symlinkSync',
  'unlinkSync',
  'writeFileSync',
] as const

/** Runs something that dies before the nth of its changes: nothing of it is done from then on. @returns whether it died */
function dyingAt(nth: number, work: () => void): boolean {
  const calls = fs as unknown as Record<string, (...args: unknown[]) => unknown>
  const kept = CALLS.map((name) => [name, calls[name]] as const)
  let count = 0
  for (const [name, call] of kept) {
    calls[name] = (...args) => {
      count += 1
      if (count >= nth) throw new Error('dead')
      return call?.(...args)
    }
  }
  syncBuiltinESMExports()
  try {
    work()
  } catch (thrown) {
    if (count < nth) throw thrown
  } finally {
    for (const [name, call] of kept) if (call !== undefined) calls[name] = call
    syncBuiltinESMExports()
  }
  return count >= nth
}

/** A tree of programs, as a version is. */
function program(root: Root, version: string): Journal {
  const source = root.outside(KUBELET)
  const journal = install(root, version)
  journal.tree(`/opt/x/${version}`, [['bin/x', source]], 'program')
  return journal
}

for (const [what, prepare] of [
  ['on a bare node', () => {}],
  ['over an older version', (root: Root) => program(root, '1').commit(ABOUT)],
] as const) {
  test(`a run that dies ${what}, at whichever of its changes, is put back whole`, (t) => {
    let nth = 0
    for (let hasDied = true; hasDied; ) {
      nth += 1
      const root = node(t)
      const bare = snapshot(root)
      prepare(root)

      hasDied = dyingAt(nth, () => program(root, '2').commit({ ...ABOUT, version: '2' }))
      const journal = new Journal(root)
      journal.tidy()
      journal.end()

      assert.deepEqual(snapshot(root), bare, `change ${nth}`)
    }
    assert.ok(nth > 50, `${nth}`)
  })

  test(`a run that dies ${what} is continued by the next, which ends as if nothing had been`, (t) => {
    const whole = node(t)
    prepare(whole)
    program(whole, '2').commit({ ...ABOUT, version: '2' })
    const wanted = snapshot(whole).filter((line) => !line.includes('install.json'))
    let nth = 0
    for (let hasDied = true; hasDied; ) {
      nth += 1
      const root = node(t)
      prepare(root)

      hasDied = dyingAt(nth, () => program(root, '2').commit({ ...ABOUT, version: '2' }))
      const journal = new Journal(root)
      journal.tidy()
      const next = program(root, '2')
      if (next.pending.length > 0) next.commit({ ...ABOUT, version: '2' })

      const reached = snapshot(root).filter((line) => !line.includes('install.json'))
      assert.deepEqual(reached, wanted, `change ${nth}`)
    }
  })
}

test('an end that dies, at whichever of its changes, is ended by the next', (t) => {
  let nth = 0
  for (let hasDied = true; hasDied; ) {
    nth += 1
    const root = node(t)
    const bare = snapshot(root)
    program(root, '1').commit(ABOUT)
    program(root, '2').commit({ ...ABOUT, version: '2' })

    hasDied = dyingAt(nth, () => void new Journal(root).end())
    const journal = new Journal(root)
    journal.tidy()
    journal.end()

    assert.deepEqual(snapshot(root), bare, `change ${nth}`)
  }
  assert.ok(nth > 20, `${nth}`)
})

for (const [path, shown] of [
  ['/../victim', '"/../victim"'],
  ['/etc//x', '"/etc//x"'],
  ['etc/x', '"etc/x"'],
  ['/etc/x\0', '"/etc/x\\\\u0000"'],
] as const) {
  test(`a list with the path ${shown} is refused, and says which one it is`, (t) => {
    const root = node(t)
    install(root).commit(ABOUT)
    const file = root.outside('/var/lib/image-resolver/install.json')
    const list = JSON.parse(readFileSync(file, 'utf8'))
    list.changes[1].path = path
    writeFileSync(file, JSON.stringify(list))

    assert.throws(() => new Journal(root), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`install\\.json.*path of changes\\[1\\], ${shown}`),
    })
  })
}

test('a folder that has become a link out of the root is not followed', (t) => {
  const root = node(t)
  install(root).commit(ABOUT)
  const [folder, elsewhere] = [root.outside(dirname(UNIT)), temporaryFolder(t)]
  renameSync(folder, join(elsewhere, 'system'))
  symlinkSync(join(elsewhere, 'system'), folder)

  assert.throws(() => new Journal(root).end(), { code: 'DENIED', message: /leads out of/ })
  assert.ok(existsSync(join(elsewhere, 'system', basename(UNIT))))
})

for (const end of ['before', 'previous', 'new']) {
  test(`a file of others that ends in .${end}-image-resolver is not overwritten`, (t) => {
    const root = node(t)
    const theirs = `${KUBELET}.${end}-image-resolver`
    writeFileSync(root.outside(theirs), 'theirs')

    assert.throws(() => new Journal(root).checkFree(KUBELET), {
      code: 'DENIED',
      message: `${theirs} is there already, and not of this installation: move it away`,
    })
    assert.throws(() => install(root), { code: 'DENIED' })
    new Journal(root).end()

    assert.equal(readFileSync(root.outside(theirs), 'utf8'), 'theirs')
    assert.equal(readFileSync(root.outside(KUBELET), 'utf8'), 'a: 1\n')
  })
}

test('an original whose list was lost is not overwritten by the next installation', (t) => {
  const root = node(t)
  install(root).commit(ABOUT)
  rmSync(root.outside('/var/lib/image-resolver'), { recursive: true })

  assert.throws(() => install(root, '2'), { code: 'DENIED', message: /before-image-resolver/ })
  const original = readFileSync(root.outside(`${KUBELET}.before-image-resolver`), 'utf8')
  assert.equal(original, 'a: 1\n')
})
