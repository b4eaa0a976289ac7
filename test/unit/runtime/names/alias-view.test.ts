import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openAliasStore } from '../../../../src/runtime/names/alias-store.ts'
import { canonicalOf, createAliasView } from '../../../../src/runtime/names/alias-view.ts'
import { temporaryFolder } from '../../../support/stack.ts'

const D = `sha256:${'d'.repeat(64)}`
const E = `sha256:${'e'.repeat(64)}`
const HEX = 'a'.repeat(64)

async function scene(t: TestContext, mirror: string | undefined = `m:5000/library/x@${D}`) {
  const store = openAliasStore(temporaryFolder(t), { warn: assert.fail, error: assert.fail })
  await store.record({
    image: HEX,
    names: [{ name: 'docker.io/library/x:1' }, { name: `docker.io/library/x@${D}` }],
    mirror,
  })
  return { store, view: createAliasView(store) }
}

test("the original names are shown, a mirror's not, nor the digests of its manifests", async (t) => {
  const { view } = await scene(t)

  const shown = view.names({
    id: HEX,
    repoTags: [],
    repoDigests: [`m:5000/library/x@${D}`, `m:5000/library/x@${E}`],
  })

  assert.deepEqual(shown, {
    repoTags: ['docker.io/library/x:1'],
    repoDigests: [`docker.io/library/x@${D}`],
  })
})

test('names that were there for another reason follow, in their order', async (t) => {
  const { view } = await scene(t)

  const shown = view.names({
    id: HEX,
    repoTags: ['z.io/x:1', 'b.io/x:1'],
    repoDigests: [`z.io/x@${D}`, `m:5000/library/x@${D}`],
  })

  assert.deepEqual(shown, {
    repoTags: ['docker.io/library/x:1', 'z.io/x:1', 'b.io/x:1'],
    repoDigests: [`docker.io/library/x@${D}`, `z.io/x@${D}`],
  })
})

test("a mirror's repository of which somebody has a tag keeps its digests", async (t) => {
  const { view } = await scene(t)

  const shown = view.names({
    id: HEX,
    repoTags: ['m:5000/library/x:theirs'],
    repoDigests: [`m:5000/library/x@${D}`],
  })

  assert.deepEqual(shown.repoDigests, [`docker.io/library/x@${D}`, `m:5000/library/x@${D}`])
})

test("a name that the runtime has too stands once, in Docker's spelling as well", async (t) => {
  const { view } = await scene(t)

  const shown = view.names({
    id: HEX,
    repoTags: ['x:1', 'docker.io/library/x:1'],
    repoDigests: [`x@${D}`],
  })

  assert.deepEqual(shown, {
    repoTags: ['docker.io/library/x:1'],
    repoDigests: [`docker.io/library/x@${D}`],
  })
})

test('an image that nobody named stays the same object', async (t) => {
  const { view } = await scene(t)
  const image = { id: 'other', repoTags: ['x:2'], repoDigests: [`m:5000/library/x@${E}`] }

  assert.equal(view.names(image), image)
})

test('a tag that moved is not shown at the image that the runtime has under it', async (t) => {
  const { store, view } = await scene(t)
  await store.record({ image: HEX, names: [{ name: 'docker.io/library/x:1', over: 'old' }] })
  const old = { id: 'old', repoTags: ['x:1', 'x:2'], repoDigests: [] }
  const newer = { id: 'newer', repoTags: ['x:1'], repoDigests: [] }

  assert.deepEqual(view.names(old).repoTags, ['x:2'])
  assert.equal(view.names(newer), newer, 'the runtime knows better')
})

test('a container is said to run the tag, and its digest stays the digest', async (t) => {
  const { view } = await scene(t)

  assert.equal(view.title(`m:5000/library/x@${D}`, HEX), 'docker.io/library/x:1')
  assert.equal(view.reference(`m:5000/library/x@${D}`, HEX), `docker.io/library/x@${D}`)
  assert.equal(view.reference(`m:5000/library/x@${E}`, HEX), `docker.io/library/x@${E}`)
  assert.equal(view.reference(`m:5000/library/x@${D}`, ''), `docker.io/library/x@${D}`)
  assert.equal(
    view.reference(`docker-pullable://m:5000/library/x@${D}`, ''),
    `docker-pullable://docker.io/library/x@${D}`,
  )
})

test("IDs stay IDs, and names that are nobody's mirror stay", async (t) => {
  const { view } = await scene(t)

  for (const text of [HEX, D, `docker://${D}`, '', 'y:1', `z.io/x@${D}`, 'docker.io/library/x:1']) {
    assert.equal(view.title(text, HEX), text)
    assert.equal(view.reference(text, HEX), text)
  }
})

test("a mirror's tag is translated as far as it can be", async (t) => {
  const { view } = await scene(t, 'm:5000/library/x:1')

  assert.equal(view.title('m:5000/library/x:1', ''), 'docker.io/library/x:1')
  assert.equal(view.reference('m:5000/library/x:1', ''), 'm:5000/library/x:1')
})

test('names are looked up in one spelling, and IDs not at all', () => {
  assert.equal(canonicalOf('x'), 'docker.io/library/x:latest')
  assert.equal(canonicalOf(`x:1@${D}`), `docker.io/library/x@${D}`)
  for (const text of ['', HEX, D, 'NO name']) assert.equal(canonicalOf(text), undefined)
})
