import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AliasStore, openAliasStore } from '../../../../src/runtime/names/alias-store.ts'
import { temporaryFolder } from '../../../support/stack.ts'

const TAG = 'docker.io/library/x:1'
const OTHER = 'docker.io/library/y:1'
const BY_DIGEST = `docker.io/library/x@sha256:${'d'.repeat(64)}`
const MIRROR = `m:5000/library/x@sha256:${'d'.repeat(64)}`

interface Scene {
  readonly folder: string
  readonly file: string
  readonly problems: string[]
  open(): AliasStore
}

function scene(t: TestContext): Scene {
  const folder = join(temporaryFolder(t), 'state')
  const problems: string[] = []
  const tell = (_data: unknown, text?: string): void => void problems.push(text ?? '')
  return {
    folder,
    file: join(folder, 'aliases.json'),
    problems,
    open: () => openAliasStore(folder, { warn: tell, error: tell }),
  }
}

test('what was recorded is there after a restart', async (t) => {
  const { open } = scene(t)
  const before = open()
  await before.intend('m:5000/other:1', [TAG])
  await before.record({
    image: 'id1',
    names: [{ name: TAG, over: 'id0' }, { name: BY_DIGEST }],
    mirror: MIRROR,
  })

  const after = open()

  assert.deepEqual(after.namesOf('id1'), [TAG, BY_DIGEST])
  assert.deepEqual(after.mirrorsOf('id1'), [MIRROR])
  assert.equal(after.mirrored(MIRROR), 'id1')
  assert.equal(after.get(TAG)?.over, 'id0')
  assert.equal(after.isPending('m:5000/other:1'), true)
  assert.deepEqual(after.pending().get('m:5000/other:1'), [TAG])
  assert.equal(after.isEmpty(), false)
})

test('the file is for its owner alone, and nothing else is left beside it', async (t) => {
  const { open, file, folder } = scene(t)

  await open().record({ image: 'id1', names: [{ name: TAG }] })

  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.equal(existsSync(`${file}.next`), false)
})

test('records that come together are all there when each has been promised', async (t) => {
  const { open } = scene(t)
  const store = open()
  const names = Array.from({ length: 50 }, (_, index) => `docker.io/library/x:${index}`)

  await Promise.all(
    names.map(async (name, index) => {
      await store.record({ image: `id${index}`, names: [{ name }] })
      assert.equal(open().get(name)?.image, `id${index}`)
    }),
  )

  assert.deepEqual(
    names.map((name) => open().get(name)?.image),
    names.map((_, index) => `id${index}`),
  )
})

test('a damaged file is set aside with a warning, and names are kept anew', async (t) => {
  for (const damage of [
    'not JSON',
    '[]',
    '{"version":2}',
    '{"version":1,"aliases":[{"name":"x"}],"mirrors":[],"pending":[]}',
    '{"version":1,"aliases":[],"mirrors":[{"name":"x"}],"pending":[]}',
    '{"version":1,"aliases":[],"mirrors":[],"pending":[1]}',
    '{"version":1,"aliases":[],"mirrors":[],"pending":[],"intended":{"x":"y"}}',
  ]) {
    const { open, file, problems } = scene(t)
    await open().record({ image: 'id1', names: [{ name: TAG }] })
    writeFileSync(file, damage)

    const store = open()
    await store.record({ image: 'id2', names: [{ name: TAG }] })

    assert.deepEqual(problems, ['the names of images cannot be read; starting without them'])
    assert.equal(readFileSync(`${file}.damaged`, 'utf8'), damage)
    assert.equal(open().get(TAG)?.image, 'id2')
  }
})

test('a file beyond any that was ever written is set aside unread', async (t) => {
  const { open, file, problems } = scene(t)
  await open().record({ image: 'id1', names: [{ name: TAG }] })
  writeFileSync(file, Buffer.alloc(16 * 1024 * 1024 + 1, ' '))

  assert.equal(open().isEmpty(), true)

  assert.equal(problems.length, 1)
  assert.ok(existsSync(`${file}.damaged`))
})

test('where nothing can be written the names hold until the end, and that is logged', async (t) => {
  const { open, folder, problems } = scene(t)
  writeFileSync(folder, 'a file where the folder should be')
  const store = open()

  await store.record({ image: 'id1', names: [{ name: TAG }] })
  await store.record({ image: 'id2', names: [{ name: OTHER }] })

  assert.equal(store.get(TAG)?.image, 'id1')
  assert.deepEqual(problems, ['the names of images cannot be written'])
})

test('when it can be written again all names are, and the next failure is told again', async (t) => {
  const { open, folder, problems } = scene(t)
  writeFileSync(folder, 'a file where the folder should be')
  const store = open()
  await store.record({ image: 'id1', names: [{ name: TAG }] })

  rmSync(folder)
  await store.record({ image: 'id2', names: [{ name: OTHER }] })

  assert.deepEqual([open().get(TAG)?.image, open().get(OTHER)?.image], ['id1', 'id2'])
  rmSync(folder, { recursive: true })
  writeFileSync(folder, '')
  await store.record({ image: 'id3', names: [{ name: TAG }] })
  assert.deepEqual(problems, Array(2).fill('the names of images cannot be written'))
})

test('a file that others may have written is set aside, and names are kept anew', async (t) => {
  for (const plant of [
    (file: string): void => chmodSync(file, 0o622),
    (file: string): void => {
      renameSync(file, `${file}.elsewhere`)
      symlinkSync(`${file}.elsewhere`, file)
    },
  ]) {
    const { open, file, problems } = scene(t)
    await open().record({ image: 'planted', names: [{ name: TAG }] })
    plant(file)

    const store = open()
    assert.equal(store.get(TAG), undefined)
    await store.record({ image: 'id1', names: [{ name: OTHER }] })

    assert.deepEqual(problems, ['the names of images cannot be read; starting without them'])
    assert.ok(existsSync(`${file}.damaged`))
    assert.deepEqual([open().get(TAG), open().get(OTHER)?.image], [undefined, 'id1'])
  }
})

test('a tag that moves leaves the digest of the old image to it', async (t) => {
  const store = scene(t).open()
  await store.record({ image: 'id1', names: [{ name: TAG }, { name: BY_DIGEST }] })

  await store.record({ image: 'id2', names: [{ name: TAG }] })

  assert.deepEqual(store.namesOf('id1'), [BY_DIGEST])
  assert.deepEqual(store.namesOf('id2'), [TAG])
})

test('a removed image takes its names with it, also from the disk', async (t) => {
  const { open } = scene(t)
  const store = open()
  await store.record({ image: 'id1', names: [{ name: TAG }], mirror: MIRROR })

  await store.remove('id1')

  for (const each of [store, open()]) {
    assert.equal(each.get(TAG), undefined)
    assert.equal(each.mirrored(MIRROR), undefined)
  }
})

test('what is learnt by reading is not written', async (t) => {
  const { open, file } = scene(t)
  const store = open()
  await store.record({ image: 'id1', names: [{ name: TAG }] })
  rmSync(file)

  store.forget('id1')
  store.sweep([], store.mark())
  await store.remove('unknown')

  assert.equal(existsSync(file), false)
})

test('what the runtime itself had under a name does not come to light when ours goes', async (t) => {
  const store = scene(t).open()
  await store.record({ image: 'id2', names: [{ name: TAG, over: 'id1' }] })

  store.forget('id2')

  assert.deepEqual(
    { image: store.get(TAG)?.image, over: store.get(TAG)?.over },
    { image: undefined, over: 'id1' },
  )
  store.sweep([{ id: 'id1', names: [TAG] }], store.mark())
  assert.notEqual(store.get(TAG), undefined)
  store.sweep([{ id: 'id1', names: [] }], store.mark())
  assert.equal(store.get(TAG), undefined)
})

test('a whole list shows what is gone, but not of what was recorded after it was asked for', async (t) => {
  const store = scene(t).open()
  await store.record({ image: 'gone', names: [{ name: 'a/x:1' }], mirror: 'm/x:1' })
  await store.record({ image: 'there', names: [{ name: 'a/y:1' }], mirror: 'm/y:1' })
  const mark = store.mark()
  await store.record({ image: 'new', names: [{ name: 'a/z:1' }], mirror: 'm/z:1' })

  store.sweep([{ id: 'there', names: [] }], mark)

  assert.deepEqual(
    ['a/x:1', 'a/y:1', 'a/z:1'].map((name) => store.get(name)?.image),
    [undefined, 'there', 'new'],
  )
  assert.deepEqual(
    ['m/x:1', 'm/y:1', 'm/z:1'].map((name) => store.mirrored(name)),
    [undefined, 'there', 'new'],
  )
})

test("a name that the runtime has given to another image since is the runtime's", async (t) => {
  const store = scene(t).open()
  await store.record({ image: 'id1', names: [{ name: TAG }] })
  const images = [
    { id: 'id1', names: [] },
    { id: 'id9', names: [TAG] },
  ]

  store.sweep(images, store.mark())

  assert.equal(store.get(TAG), undefined)
})

test("a mirror's name that somebody asked for is hidden no more", async (t) => {
  const store = scene(t).open()
  await store.record({ image: 'id1', names: [{ name: TAG }], mirror: MIRROR })

  await store.record({ image: 'id1', names: [{ name: MIRROR }] })

  assert.equal(store.mirrored(MIRROR), undefined)
  assert.deepEqual(store.mirrorsOf('id1'), [])
})

test('of too many names the oldest goes', async (t) => {
  const store = scene(t).open()
  const names = Array.from({ length: 50_001 }, (_, index) => ({ name: `a/x:${index}` }))

  await store.record({ image: 'id1', names })

  assert.equal(store.get('a/x:0'), undefined)
  assert.equal(store.get('a/x:50000')?.image, 'id1')
  assert.equal(store.namesOf('id1').length, 50_000)
})

test('a file of an older version, which does not say what a pull was begun for, is read', (t) => {
  const { file, folder, open, problems } = scene(t)
  mkdirSync(folder, { mode: 0o700 })
  writeFileSync(file, `{"version":1,"aliases":[],"mirrors":[],"pending":["${MIRROR}"]}`, {
    mode: 0o600,
  })

  const store = open()

  assert.deepEqual([...store.pending()], [[MIRROR, []]])
  assert.deepEqual(problems, [])
})
