import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeychainConfig } from '../../../src/config/config.ts'
import { imageAt, matchesImage, parseImagePattern } from '../../../src/credentials/image-pattern.ts'
import { OperatorKeychain } from '../../../src/credentials/keychain.ts'
import { fromAuthConfig } from '../../../src/registry/credentials.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import { base64, folderOfFiles, warningLog, writeText } from '../../support/keychain.ts'

const NAMES = [
  'docker.io',
  'index.docker.io',
  'registry-1.docker.io',
  'registry.hub.docker.com',
  'hub.docker.com',
  'Registry-1.Docker.IO:443',
]
const NONE: KeychainConfig = {
  dockerConfigs: [],
  pullSecrets: [],
  credentialProviders: undefined,
  helperTimeoutMs: 1_000,
}
const HUB = 'registry-1.docker.io'
const USER = { kind: 'basic', username: 'user', password: 'pass' } as const

for (const name of NAMES) {
  for (const key of [name, `https://${name}/v1/`, `https://${name}/v2/`, `${name}/v2`]) {
    test(`a secret that is kept for ${key} is Docker Hub's, in every kind of file`, async (t) => {
      const folder = folderOfFiles(t)
      const file = writeText(folder, 'config.json', {
        auths: { [key]: { auth: base64('user:pass') } },
      })
      const options = { logger: warningLog(), now: () => 0 }

      for (const config of [
        { ...NONE, dockerConfigs: [file] },
        { ...NONE, pullSecrets: [file] },
      ]) {
        const keychain = new OperatorKeychain({ ...options, config })
        assert.deepEqual(await keychain.credentials(HUB, 'library/nginx', undefined), USER)
        assert.equal(await keychain.credentials('quay.io', 'library/nginx', undefined), undefined)
      }
    })
  }

  test(`a helper that is named for ${name} is asked for Docker Hub by its oldest name`, async (t) => {
    const file = writeText(folderOfFiles(t), 'config.json', { credHelpers: { [name]: 'hub' } })
    const asked: string[] = []
    const keychain = new OperatorKeychain({
      config: { ...NONE, dockerConfigs: [file] },
      logger: warningLog(),
      now: () => 0,
      programs: {
        run: async ({ file: program, input }) => {
          asked.push(`${program} ${input}`)
          return { code: 0, output: JSON.stringify({ Username: 'user', Secret: 'pass' }) }
        },
        close: async () => {},
      },
    })

    assert.deepEqual(await keychain.credentials(HUB, 'library/nginx', undefined), USER)
    assert.deepEqual(asked, ['docker-credential-hub https://index.docker.io/v1/'])
  })

  test(`an entry with the address ${name} has its own credentials for Docker Hub`, async () => {
    const keychain = new OperatorKeychain({ config: NONE, logger: warningLog(), now: () => 0 })
    const endpoint = parseAddress(name)
    const entry = { name, endpoint, priority: 500, offline: false, credentials: USER }

    assert.deepEqual(await keychain.credentials(HUB, 'library/nginx', entry), USER)
  })

  test(`images of Docker Hub match the pattern ${name}, and CRI's secrets for it are theirs`, () => {
    const pattern = parseImagePattern(name)
    const auth = { username: 'user', password: 'pass', serverAddress: `https://${name}/v1/` }

    assert.ok(pattern && matchesImage(pattern, imageAt(HUB, 'library/nginx')))
    assert.deepEqual(fromAuthConfig(auth, HUB), USER)
  })
}

test('a name that only looks like one of Docker Hub gets nothing of it', async (t) => {
  const file = writeText(folderOfFiles(t), 'config.json', {
    auths: Object.fromEntries(NAMES.map((name) => [name, { auth: base64('user:pass') }])),
  })
  const config = { ...NONE, dockerConfigs: [file], pullSecrets: [file] }
  const keychain = new OperatorKeychain({ config, logger: warningLog(), now: () => 0 })

  for (const host of [
    'docker.io.evil.com',
    'evil-docker.io',
    'sub.docker.io',
    'auth.docker.io',
    'registry-1.docker.io:5000',
    'docker.com',
    'hub.docker.com.evil.com',
  ]) {
    assert.equal(await keychain.credentials(host, 'library/nginx', undefined), undefined, host)
  }
})
