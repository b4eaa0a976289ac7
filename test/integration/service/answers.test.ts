import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openResolver } from '../../../src/service/open.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A registry on loopback that lets in only the one who logged in as `ada`, and a home folder. */
async function scene(t: TestContext) {
  const auth = { kind: 'basic', username: 'ada', password: 'secret' } as const
  const registry = await FakeRegistry.start(t, { auth })
  const image = buildImage()
  registry.put('team/app', '1', image)
  const basic = Buffer.from('ada:secret').toString('base64')
  const home = temporaryFolder(t)
  const logIn = (): void => {
    mkdirSync(join(home, '.docker'), { recursive: true })
    const auths = { [registry.host]: { auth: basic } }
    writeFileSync(join(home, '.docker', 'config.json'), JSON.stringify({ auths }))
  }
  return { registry, image, home, logIn }
}

test('without a file a registry on loopback is asked, with what its user has logged in with', async (t) => {
  const { registry, image, home, logIn } = await scene(t)
  const reference = `${registry.host}/team/app:1`

  const before = await openResolver({ file: undefined }, { HOME: home })
  t.after(() => before.close())
  await assert.rejects(before.answer(reference), { code: 'UNAUTHORIZED' })
  logIn()
  const after = await openResolver({ file: undefined }, { HOME: home })
  t.after(() => after.close())

  assert.equal((await after.answer(reference)).imageId, image.imageId)
})

test('with a file nothing is asked on loopback that it does not name, and no login is looked for', async (t) => {
  const { registry, home, logIn } = await scene(t)
  logIn()
  const file = join(home, 'image-resolver.yaml')
  writeFileSync(file, `image: ${home}\n`)

  const answers = await openResolver({ file }, { HOME: home })
  t.after(() => answers.close())

  await assert.rejects(answers.answer(`${registry.host}/team/app:1`), { code: 'DENIED' })
})
