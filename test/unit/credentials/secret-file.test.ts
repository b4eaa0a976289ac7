import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SecretFiles } from '../../../src/credentials/keychain.ts'
import { folderOfFiles, warningLog, writeText } from '../../support/keychain.ts'

test('a password is what stands before the line break at the end', async (t) => {
  const { files, folder } = open(t)

  for (const [content, password] of [
    ['hunter2', 'hunter2'],
    ['hunter2\n', 'hunter2'],
    ['hunter2\r\n', 'hunter2'],
    [' with spaces \n', ' with spaces '],
  ] as const) {
    const passwordFile = writeText(folder, `of ${JSON.stringify(content)}`, content)
    const credentials = await files.credentials({ username: 'user', passwordFile })
    assert.deepEqual(credentials, { kind: 'basic', username: 'user', password })
  }
})

test('a token is an identity token unless said otherwise', async (t) => {
  const { files, folder } = open(t)
  const tokenFile = writeText(folder, 'token', ' abc \n')

  assert.deepEqual(await files.credentials({ tokenFile }), { kind: 'identityToken', token: 'abc' })
  assert.deepEqual(await files.credentials({ tokenFile, tokenKind: 'registryToken' }), {
    kind: 'registryToken',
    token: 'abc',
  })
})

test('a file without a usable secret is none, and the warning does not repeat it', async (t) => {
  const { files, folder, log } = open(t)
  const empty = writeText(folder, 'empty', '\n')
  const spaced = writeText(folder, 'spaced', 'hunter2 hunter2')
  const large = writeText(folder, 'large', 'hunter2'.repeat(10_000))

  const answers = [
    await files.credentials({ username: 'user', passwordFile: empty }),
    await files.credentials({ tokenFile: spaced }),
    await files.credentials({ tokenFile: large }),
    await files.credentials({ username: 'user', passwordFile: join(folder, 'missing') }),
  ]

  assert.deepEqual(answers, [undefined, undefined, undefined, undefined])
  assert.deepEqual(
    log.warnings.map(({ fields }) => fields['reason']),
    [
      'it is empty',
      'not a token: write it on one line, without spaces',
      'larger than 64 KiB',
      'there is no such file',
    ],
  )
})

test('the secret of a file that changed is the new one', async (t) => {
  const { files, folder, pass } = open(t)
  const passwordFile = writeText(folder, 'password', 'old')
  await files.credentials({ username: 'user', passwordFile })

  writeText(folder, 'password', 'rotated\n')
  pass(1_000)

  assert.deepEqual(await files.credentials({ username: 'user', passwordFile }), {
    kind: 'basic',
    username: 'user',
    password: 'rotated',
  })
})

function open(t: TestContext) {
  const log = warningLog()
  let now = 0
  const files = new SecretFiles({ now: () => now, warnOnce: log.warnOnce })
  return {
    files,
    folder: folderOfFiles(t),
    log,
    pass(ms: number) {
      now += ms
    },
  }
}
