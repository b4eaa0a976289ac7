import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PullSecrets } from '../../../src/credentials/keychain.ts'
import { base64, folderOfFiles, warningLog, writeText } from '../../support/keychain.ts'

test('secrets in both forms count as one, and the key that says most wins', async (t) => {
  const folder = folderOfFiles(t)
  const one = writeText(folder, 'one', {
    auths: { '*.corp': entry('wild'), 'a.corp': entry('one') },
  })
  const two = writeText(folder, 'two', { 'https://a.corp/team': entry('two') })
  const secrets = new PullSecrets([one, two], { now: () => 0, ...warningLog() })

  assert.deepEqual(await secrets.credentials('a.corp', 'team/app'), basic('two'))
  assert.deepEqual(await secrets.credentials('a.corp', 'app'), basic('one'))
  assert.deepEqual(await secrets.credentials('b.corp', 'app'), basic('wild'))
  assert.equal(await secrets.credentials('b.corp:5000', 'app'), undefined)
  assert.equal(await secrets.credentials('corp', 'app'), undefined)
})

test('a secret that is rotated is the new one', async (t) => {
  const folder = folderOfFiles(t)
  const file = writeText(folder, 'secret', { auths: { 'a.corp': entry('old') } })
  let now = 0
  const secrets = new PullSecrets([file], { now: () => now, ...warningLog() })
  await secrets.credentials('a.corp', 'app')

  writeText(folder, 'secret', { auths: { 'a.corp': entry('rotated') } })
  now += 1_000

  assert.deepEqual(await secrets.credentials('a.corp', 'app'), basic('rotated'))
})

test('no helper that a secret names is run, and a damaged one does not hide the others', async (t) => {
  const folder = folderOfFiles(t)
  const log = warningLog()
  const damaged = writeText(folder, 'damaged', '{"auths":{"a.corp":{"auth":"hunter2')
  const good = writeText(folder, 'good', {
    credsStore: 'evil',
    auths: { 'a.corp': entry('good') },
  })
  const secrets = new PullSecrets([damaged, good], { now: () => 0, ...log })

  assert.deepEqual(await secrets.credentials('a.corp', 'app'), basic('good'))
  assert.deepEqual(log.warnings, [
    {
      message: 'a file of credentials cannot be used',
      fields: { file: damaged, reason: 'not a JSON object' },
    },
  ])
})

function entry(username: string) {
  return { auth: base64(`${username}:pw`) }
}

function basic(username: string) {
  return { kind: 'basic', username, password: 'pw' }
}
