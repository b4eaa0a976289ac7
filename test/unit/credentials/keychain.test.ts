import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { KeychainConfig } from '../../../src/config/config.ts'
import { OperatorKeychain } from '../../../src/credentials/keychain.ts'
import type { Program } from '../../../src/credentials/program.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import type { RegistryEntry } from '../../../src/registry/entry.ts'
import type { Keychain } from '../../../src/resolver/types.ts'
import { base64, folderOfFiles, warningLog, writeText } from '../../support/keychain.ts'

const API_VERSION = 'credentialprovider.kubelet.k8s.io/v1'

test('sources are asked in order: Docker configurations, pull secrets, providers', async (t) => {
  const { keychain, asked } = open(t, {
    one: ['one.io'],
    two: ['one.io', 'two.io'],
    secret: ['one.io', 'two.io', 'secret.io'],
  })

  const users = []
  for (const host of ['one.io', 'two.io', 'secret.io', 'provided.io', 'nobody.com']) {
    const credentials = await keychain.credentials(host, 'app', undefined)
    users.push(credentials?.kind === 'basic' ? credentials.username : credentials)
  }

  assert.deepEqual(users, ['one', 'two', 'secret', 'provider', undefined])
  assert.equal(asked.length, 1)
})

test("an entry's own credentials are all that is asked for", async (t) => {
  const { keychain } = open(t, { one: ['a.io'] })
  const own = { kind: 'basic', username: 'own', password: 'pw' } as const
  const passwordFile = writeText(folderOfFiles(t), 'password', 'pw\n')

  const written = await keychain.credentials('a.io', 'app', entryOf('a.io', { credentials: own }))
  const inFile = await keychain.credentials(
    'a.io',
    'app',
    entryOf('a.io', { credentialFiles: { username: 'own', passwordFile } }),
  )
  const missing = await keychain.credentials(
    'a.io',
    'app',
    entryOf('a.io', { credentialFiles: { username: 'own', passwordFile: `${passwordFile}.no` } }),
  )

  assert.deepEqual([written, inFile, missing], [own, own, undefined])
})

test('an entry without any leaves the question to the others', async (t) => {
  const { keychain } = open(t, { one: ['a.io'] })

  const credentials = await keychain.credentials('a.io', 'app', entryOf('a.io', {}))

  assert.deepEqual(credentials, { kind: 'basic', username: 'one', password: 'pw' })
})

test('an entry that is to get no secrets but its own gets none of the others', async (t) => {
  const { keychain } = open(t, { one: ['a.io'] })
  const own = { kind: 'basic', username: 'own', password: 'pw' } as const
  const entry = entryOf('a.io', { ownSecretsOnly: true })

  const none = await keychain.credentials('a.io', 'app', entry)
  const written = await keychain.credentials('a.io', 'app', { ...entry, credentials: own })

  assert.deepEqual([none, written], [undefined, own])
})

test("an entry's credentials are for every name of Docker Hub", async (t) => {
  const { keychain } = open(t, {})
  const credentials = { kind: 'basic', username: 'own', password: 'pw' } as const

  for (const address of ['https://index.docker.io/v1/', 'hub.docker.com', 'docker.io']) {
    const entry = entryOf(address, { credentials })
    const found = await keychain.credentials('registry-1.docker.io', 'library/nginx', entry)
    assert.deepEqual(found, credentials, address)
  }
})

test("an entry's credentials are for its host and port alone", async (t) => {
  const { keychain } = open(t, {})
  const credentials = { kind: 'basic', username: 'own', password: 'pw' } as const

  const answers = [
    await keychain.credentials('a.io:5000', 'app', entryOf('a.io', { credentials })),
    await keychain.credentials('b.io', 'app', entryOf('a.io', { credentials })),
    await keychain.credentials(
      'registry-1.docker.io',
      'app',
      entryOf('docker.io', { credentials }),
    ),
  ]

  assert.deepEqual(answers, [undefined, undefined, credentials])
})

test('Docker Hub is one registry to every source', async (t) => {
  for (const [name, key] of [
    ['one', 'https://index.docker.io/v1/'],
    ['one', 'docker.io'],
    ['secret', 'https://index.docker.io/v1/'],
    ['secret', 'docker.io/library'],
  ] as const) {
    const { keychain } = open(t, { [name]: [key] })
    for (const host of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
      const credentials = await keychain.credentials(host, 'library/nginx', undefined)
      assert.deepEqual(credentials, { kind: 'basic', username: name, password: 'pw' })
    }
  }
})

test('with nothing configured there are no credentials', async () => {
  const { warn, warnings } = warningLog()
  const config = { dockerConfigs: [], pullSecrets: [], helperTimeoutMs: 1, ...NO_PROVIDERS }
  const keychain = new OperatorKeychain({ config, logger: { warn }, now: () => 0 })

  assert.equal(await keychain.credentials('a.io', 'app', undefined), undefined)
  await keychain.close()
  assert.deepEqual(warnings, [])
})

const NO_PROVIDERS = { credentialProviders: undefined }

/** The files `one`, `two` (Docker's) and `secret`, each with these keys, and a provider for *.io. */
function open(t: TestContext, keys: Readonly<Record<string, readonly string[]>>) {
  const folder = folderOfFiles(t)
  const file = (name: string) =>
    writeText(folder, name, {
      auths: Object.fromEntries(
        (keys[name] ?? []).map((key) => [key, { auth: base64(`${name}:pw`) }]),
      ),
    })
  const providers = writeText(folder, 'providers.yaml', {
    apiVersion: 'kubelet.config.k8s.io/v1',
    kind: 'CredentialProviderConfig',
    providers: [
      {
        name: 'plugin',
        matchImages: ['provided.io'],
        defaultCacheDuration: '1m',
        apiVersion: API_VERSION,
      },
    ],
  })
  const config: KeychainConfig = {
    dockerConfigs: [file('one'), file('two')],
    pullSecrets: [file('secret')],
    credentialProviders: { config: providers, binDir: '/providers' },
    helperTimeoutMs: 1_000,
  }
  const asked: Program[] = []
  const keychain: Keychain = new OperatorKeychain({
    config,
    logger: warningLog(),
    now: () => 0,
    environment: {},
    programs: {
      async run(program) {
        asked.push(program)
        const output = JSON.stringify({
          kind: 'CredentialProviderResponse',
          apiVersion: API_VERSION,
          cacheKeyType: 'Global',
          auth: { 'provided.io': { username: 'provider', password: 'pw' } },
        })
        return { code: 0, output }
      },
      async close() {},
    },
  })
  return { keychain, asked }
}

function entryOf(
  address: string,
  own: Pick<RegistryEntry, 'credentials' | 'credentialFiles' | 'ownSecretsOnly'>,
): RegistryEntry {
  return {
    name: address,
    endpoint: parseAddress(address),
    priority: 500,
    offline: false,
    ...own,
  }
}
