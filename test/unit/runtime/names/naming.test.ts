import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AliasNames } from '../../../../src/runtime/names/alias-names.ts'
import { createNaming } from '../../../../src/runtime/names/naming.ts'
import type { ImageNames } from '../../../../src/runtime/types.ts'

function scene() {
  const asked: string[] = []
  let answers: (() => Promise<boolean>) | undefined
  let lose = (): void => {}
  const side = (name: string): ImageNames => ({
    available: async () => true,
    withLease: async () => name,
    name: async () => name === 'containerd',
    whole: async () => undefined,
    settle: async () => void asked.push(`settle ${name}`),
  })
  const naming = createNaming({
    containerd: {
      ...side('containerd'),
      available: () => {
        asked.push('available')
        return answers?.() ?? Promise.reject(new Error('away'))
      },
    },
    aliases: { ...side('aliases'), locate: async () => ({ kind: 'asked' }) } satisfies AliasNames,
    onLost: (listener) => {
      lose = listener
    },
  })
  return {
    naming,
    asked,
    answer: (offered: boolean) => {
      answers = async () => offered
    },
    lose: () => lose(),
  }
}

test('names are kept in the runtime where it has a table of them, else beside it', async () => {
  for (const [offered, route] of [
    [true, 'runtime'],
    [false, 'aliases'],
  ] as const) {
    const { naming, answer } = scene()
    answer(offered)

    assert.equal(await naming.route(), route)
    assert.equal(
      await naming.withLease('m', async () => 'id', []),
      offered ? 'containerd' : 'aliases',
    )
    assert.equal(await naming.name('m', []), offered)
    assert.equal(await naming.available(), true)
    assert.equal(naming.lastRoute(), route)
  }
})

test('it is found out once for a connection', async () => {
  const { naming, answer, asked } = scene()
  answer(true)

  await Promise.all([naming.route(), naming.route()])
  await naming.route()
  const before = asked.length

  assert.equal(before, 1)
})

test('a runtime that does not answer is asked again', async () => {
  const { naming, answer } = scene()

  assert.equal(naming.lastRoute(), undefined)
  await assert.rejects(naming.route(), /away/)
  answer(false)

  assert.equal(await naming.route(), 'aliases')
})

test('after the connection was lost the last answer holds until there is another', async () => {
  const { naming, answer, lose } = scene()
  answer(true)
  await naming.route()

  lose()
  answer(false)
  const meanwhile = naming.lastRoute()
  await naming.route()

  assert.equal(meanwhile, 'runtime')
  assert.equal(naming.lastRoute(), 'aliases')
})

test('what is left is put right where the names are kept, also when that is not known yet', async () => {
  for (const [offered, side] of [
    [true, 'containerd'],
    [false, 'aliases'],
  ] as const) {
    const { asked, answer, naming } = scene()
    answer(offered)

    await naming.settle(true)
    await naming.settle(true)

    const settled = asked.filter((each) => each.startsWith('settle'))
    assert.deepEqual(settled, [`settle ${side}`, `settle ${side}`])
  }
})

test('nothing waits for a runtime that is away', async () => {
  const { asked, naming } = scene()

  await naming.settle(true)

  assert.deepEqual(asked, ['available'])
})
