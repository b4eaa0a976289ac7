import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readSecrets } from '../../../src/install/secrets.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A Secret as a kubelet mounts it: each key is a link into the folder of the newest version. */
function mounted(t: TestContext, keys: Readonly<Record<string, string | Buffer>>): string {
  const folder = temporaryFolder(t)
  const version = join(folder, 'harbor/..2026_11_29')
  mkdirSync(version, { recursive: true })
  symlinkSync('..2026_11_29', join(folder, 'harbor/..data'))
  for (const [key, value] of Object.entries(keys)) {
    writeFileSync(join(version, key), value)
    symlinkSync(`..data/${key}`, join(folder, 'harbor', key))
  }
  return folder
}

test('the keys of a Secret become files of the node, each once', (t) => {
  const folder = mounted(t, { password: 'p', 'ca.crt': 'c\n' })

  assert.deepEqual(readSecrets(folder), [
    { path: '/etc/image-resolver/secrets/harbor/ca.crt', text: 'c\n' },
    { path: '/etc/image-resolver/secrets/harbor/password', text: 'p' },
  ])
  assert.deepEqual(readSecrets(temporaryFolder(t)), [])
})

test('what is no text, and too many files, are refused without their content', (t) => {
  const many = Array.from({ length: 257 }, (_, index) => [`key-${index}`, 'x'] as const)

  assert.throws(() => readSecrets(mounted(t, { key: Buffer.from([0xff, 0xfe]) })), {
    message: /^\/harbor\/key cannot be read as UTF-8 text$/,
  })
  assert.throws(() => readSecrets(mounted(t, Object.fromEntries(many))), {
    message: /257 files, and 256 are the most/,
  })
})

test('a folder that is not there is a mistake, and so is a link that leads nowhere', (t) => {
  const folder = temporaryFolder(t)
  symlinkSync('nowhere', join(folder, 'token'))

  for (const wrong of [join(folder, 'typo'), join(folder, 'token')]) {
    assert.throws(() => readSecrets(wrong), {
      code: 'CONFIG_INVALID',
      message: `--secrets ${wrong}: there is no such folder; name the folder of the secrets, or an empty one to remove those of this node`,
    })
  }
  assert.throws(() => readSecrets(folder), {
    code: 'CONFIG_INVALID',
    message: /\/token leads to no file/,
  })
})
