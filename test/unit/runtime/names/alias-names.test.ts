import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createAliasNames } from '../../../../src/runtime/names/alias-names.ts'
import { openAliasStore } from '../../../../src/runtime/names/alias-store.ts'
import { canonicalOf } from '../../../../src/runtime/names/alias-view.ts'
import type { NodeImage } from '../../../../src/runtime/types.ts'
import { temporaryFolder } from '../../../support/stack.ts'

const D = `sha256:${'d'.repeat(64)}`
const E = `sha256:${'e'.repeat(64)}`
const MIRROR = `m:5000/library/x@${D}`
const TAG = 'docker.io/library/x:1'
const BY_DIGEST = `docker.io/library/x@${D}`

/** A runtime of a few images, by ID. */
function scene(t: TestContext) {
  const folder = temporaryFolder(t)
  const images = new Map<string, NodeImage>()
  const state = { isAway: false }
  const warnings: object[] = []
  const log = { warn: assert.fail, error: assert.fail }
  let nowMs = 0
  const late: (() => void)[] = []
  const wait = (ms: number) => {
    if (ms < 1_000) return Promise.resolve()
    return new Promise<void>((resolve) => ms === 10_000 && late.push(resolve))
  }
  /** Ten seconds go by; what is due then has been done. */
  const later = async (): Promise<void> => {
    nowMs += 10_000
    for (const ring of late.splice(0)) ring()
    await new Promise(setImmediate)
  }
  const put = (id: string, ...names: string[]): string => {
    const repoTags = names.filter((name) => !name.includes('@'))
    const repoDigests = names.filter((name) => name.includes('@'))
    images.set(id, { id, repoTags, repoDigests, size: 1n, pinned: false })
    return id
  }
  const open = () => {
    const store = openAliasStore(folder, log)
    const names = createAliasNames({
      store,
      now: () => nowMs,
      wait,
      log: { info: () => {}, warn: (data: object) => void warnings.push(data) },
      imageStatus: async (image) => {
        if (state.isAway) throw new Error('the runtime is away')
        return (
          images.get(image) ??
          [...images.values()].find(({ repoTags, repoDigests }) =>
            [...repoTags, ...repoDigests].some((name) => canonicalOf(name) === canonicalOf(image)),
          )
        )
      },
    })
    return { store, names }
  }
  return { images, put, open, state, warnings, later, ...open() }
}

test('a pulled image is found by what was asked, in any spelling', async (t) => {
  const { names, put, store } = scene(t)

  const id = await names.withLease(MIRROR, async () => put('id1', MIRROR), [TAG, BY_DIGEST])

  assert.equal(id, 'id1')
  for (const form of ['x:1', TAG, `x@${D}`, `x:other@${D}`]) {
    assert.deepEqual(await names.locate(form), { kind: 'image', id: 'id1' }, form)
  }
  assert.deepEqual(store.mirrorsOf('id1'), [MIRROR])
  assert.equal(await names.available(), true)
})

test("the runtime's own ID is returned where it answers a pull with a name", async (t) => {
  const { names, put } = scene(t)

  const pull = async () => {
    put('id1', MIRROR)
    return MIRROR
  }

  assert.equal(await names.withLease(MIRROR, pull, [TAG]), 'id1')
})

test('what nobody named is asked for as it came', async (t) => {
  const { names } = scene(t)

  for (const form of ['y', '3fb3c9af89a91', 'a'.repeat(64), D, '', 'NO name']) {
    assert.deepEqual(await names.locate(form), { kind: 'asked' }, form)
  }
})

test("a mirror's name that was there before is nobody's secret", async (t) => {
  const { names, put, store } = scene(t)
  put('id1', MIRROR)

  await names.withLease(MIRROR, async () => 'id1', [TAG, BY_DIGEST])

  assert.deepEqual(store.mirrorsOf('id1'), [])
})

test('killed between the pull and the record, the next pull knows whose name it was', async (t) => {
  const { names, open, put } = scene(t)
  void names.withLease(MIRROR, () => new Promise(() => {}), [TAG])
  await new Promise(setImmediate)
  const killed = open
  put('id1', MIRROR)

  let after = killed()
  while (!after.store.isPending(MIRROR)) {
    await new Promise(setImmediate)
    after = killed()
  }
  const before = await after.names.locate(TAG)
  await after.names.withLease(MIRROR, async () => 'id1', [TAG])

  assert.deepEqual(before, { kind: 'asked' })
  assert.deepEqual(await after.names.locate(TAG), { kind: 'image', id: 'id1' })
  assert.deepEqual(after.store.mirrorsOf('id1'), [MIRROR])
  assert.equal(after.store.isPending(MIRROR), false)
})

test('a pull that fails throws its own error and leaves nothing', async (t) => {
  const { later, names, store } = scene(t)
  const refused = new Error('refused')

  await assert.rejects(
    names.withLease(MIRROR, () => Promise.reject(refused), [TAG]),
    (error) => error === refused,
  )
  await names.settle(true)
  await later()

  assert.equal(store.isPending(MIRROR), false)
  assert.equal(store.isEmpty(), true)
  assert.equal(names.settle(true), undefined)
})

test('an image that is removed right after its pull is an error', async (t) => {
  const { names } = scene(t)

  await assert.rejects(
    names.withLease(MIRROR, async () => 'id1', [TAG]),
    { code: 'UNAVAILABLE' },
  )
})

test("a mirror's tag that leads to other bytes than were resolved gets no name", async (t) => {
  const { names, put, store } = scene(t)
  const pull = async () => put('id1', 'm:5000/library/x:1', `m:5000/library/x@${E}`)

  await assert.rejects(names.withLease('m:5000/library/x:1', pull, [TAG, BY_DIGEST]), {
    code: 'DIGEST_INVALID',
  })

  assert.equal(store.isEmpty(), true)
})

test("a mirror's tag that leads to the resolved digest is hidden like one", async (t) => {
  const { names, put, store } = scene(t)
  const mirror = 'm:5000/library/x:1'

  await names.withLease(mirror, async () => put('id1', mirror, MIRROR), [TAG, BY_DIGEST])

  assert.deepEqual(store.mirrorsOf('id1'), [mirror])
})

test('an image that is gone is forgotten, and the runtime is asked as it came', async (t) => {
  const { images, names, put, store } = scene(t)
  await names.withLease(MIRROR, async () => put('id1', MIRROR), [TAG, BY_DIGEST])
  images.clear()

  assert.deepEqual(await names.locate('x:1'), { kind: 'asked' })

  assert.equal(store.isEmpty(), true)
})

test('a tag that the runtime has for an older image leads to the newer one, until it goes', async (t) => {
  const { images, names, put } = scene(t)
  put('old', TAG)

  await names.withLease(MIRROR, async () => put('new', MIRROR), [TAG, BY_DIGEST])

  assert.deepEqual(await names.locate('x:1'), { kind: 'image', id: 'new' })
  images.delete('new')
  assert.deepEqual(await names.locate('x:1'), { kind: 'absent' })
  images.delete('old')
  assert.deepEqual(await names.locate('x:1'), { kind: 'asked' })
})

test("a tag that was pulled past us since is the runtime's", async (t) => {
  const { names, put, store } = scene(t)
  await names.withLease(MIRROR, async () => put('id1', MIRROR), [TAG, BY_DIGEST])

  put('id2', TAG)

  assert.deepEqual(await names.locate('x:1'), { kind: 'asked' })
  assert.equal(store.get(TAG), undefined)
})

test('a runtime that refuses to complete a name does not hide ours', async (t) => {
  const store = openAliasStore(temporaryFolder(t), { warn: assert.fail, error: assert.fail })
  const image = { id: 'id1', repoTags: [], repoDigests: [], size: 1n, pinned: false }
  const names = createAliasNames({
    store,
    log: { info: () => {}, warn: assert.fail },
    imageStatus: async (name) => {
      if (name === 'id1') return image
      throw new Error('short name mode is enforcing')
    },
  })
  await store.record({ image: 'id1', names: [{ name: TAG }] })

  assert.deepEqual(await names.locate('x:1'), { kind: 'image', id: 'id1' })
})

test("an image on the node under a mirror's name is named, and keeps that", async (t) => {
  const { names, put, store } = scene(t)
  put('id1', 'm:5000/library/x:1', MIRROR)

  const named = await names.name('m:5000/library/x:1', [TAG, BY_DIGEST])
  const absent = await names.name('m:5000/library/y:1', [TAG])

  assert.deepEqual([named, absent], [true, false])
  assert.deepEqual(await names.locate(TAG), { kind: 'image', id: 'id1' })
  assert.deepEqual(store.mirrorsOf('id1'), [])
})

for (const [what, restart] of [
  ['the runtime', false],
  ['this process', true],
] as const) {
  test(`an image that came while ${what} ended has its names when the runtime answers again`, async (t) => {
    const node = scene(t)
    const pull = node.names.withLease(MIRROR, async () => {
      node.put('id1', MIRROR)
      node.state.isAway = !restart
      throw new Error('the connection broke')
    }, [TAG, BY_DIGEST])
    await assert.rejects(pull, /the connection broke/)
    const { names, store } = restart ? node.open() : node

    await names.settle(false)
    node.state.isAway = false
    await names.settle(true)

    assert.deepEqual(store.namesOf('id1'), [TAG, BY_DIGEST])
    assert.deepEqual(store.mirrorsOf('id1'), [MIRROR])
    assert.equal(store.isPending(MIRROR), false)
    assert.equal(names.settle(true), undefined)
    assert.equal(node.warnings.length, restart ? 0 : 1)
  })
}

test('a tag that was given to another image since stays with that', async (t) => {
  const { names, put, store } = scene(t)
  await assert.rejects(
    names.withLease(MIRROR, async () => {
      put('id1', MIRROR)
      throw new Error('the caller left')
    }, [TAG, BY_DIGEST]),
  )
  const later = `m:5000/library/x@${E}`
  await names.withLease(later, async () => put('id2', later), [TAG])

  await names.settle(true)

  assert.equal(store.get(TAG)?.image, 'id2')
  assert.deepEqual(store.namesOf('id1'), [BY_DIGEST])
})

test('a pull under way is left to itself', async (t) => {
  const { names, put, store } = scene(t)
  let finish = () => {}
  const until = new Promise<void>((resolve) => {
    finish = resolve
  })
  const pull = names.withLease(MIRROR, async () => {
    await until
    return put('id1', MIRROR)
  }, [TAG])

  await names.settle(true)
  const during = store.isPending(MIRROR)
  finish()
  await pull

  assert.equal(during, true)
  assert.deepEqual(store.namesOf('id1'), [TAG])
})

test('a name that the runtime gives after its pull was cancelled, and looked for, is recorded', async (t) => {
  const { later, names, put, store } = scene(t)
  const left = () => Promise.reject(new Error('the caller left'))
  await assert.rejects(names.withLease(MIRROR, left, [TAG, BY_DIGEST]))
  await names.settle(true)
  put('id1', MIRROR)

  await later()

  assert.deepEqual(store.namesOf('id1'), [TAG, BY_DIGEST])
  assert.deepEqual(store.mirrorsOf('id1'), [MIRROR])
})
