import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { DockerConfigFile } from '../../../src/credentials/docker.ts'
import type { Credentials } from '../../../src/registry/credentials.ts'
import { folderOfFiles, warningLog, writeText } from '../../support/keychain.ts'

// What containers-auth.json(5) says of paths, and what docker login writes.
const FOUND: readonly [
  keys: readonly string[],
  host: string,
  repository: string,
  found: unknown,
][] = [
  [['a.io'], 'a.io', 'team/app', 'a.io'],
  [['a.io'], 'a.io:443', 'team/app', undefined],
  [['a.io:5000'], 'a.io:5000', 'team/app', 'a.io:5000'],
  [['a.io:5000'], 'a.io', 'team/app', undefined],
  [['a.io'], 'b.a.io', 'team/app', undefined],
  [['A.io'], 'a.io', 'team/app', 'A.io'],
  [['https://a.io'], 'a.io', 'team/app', 'https://a.io'],
  [['http://a.io/v1/'], 'a.io', 'team/app', 'http://a.io/v1/'],
  [['https://a.io/any/thing'], 'a.io', 'team/app', 'https://a.io/any/thing'],
  [['a.io/v2/'], 'a.io', 'team/app', 'a.io/v2/'],
  [['https://a.io', 'a.io'], 'a.io', 'team/app', 'a.io'],
  [['a.io', 'a.io/team', 'a.io/team/app'], 'a.io', 'team/app', 'a.io/team/app'],
  [['a.io', 'a.io/team', 'a.io/team/app'], 'a.io', 'team/app/deep', 'a.io/team/app'],
  [['a.io', 'a.io/team', 'a.io/team/app'], 'a.io', 'team/apple', 'a.io/team'],
  [['a.io', 'a.io/team', 'a.io/team/app'], 'a.io', 'teams/app', 'a.io'],
  [['a.io/team'], 'a.io', 'other/app', undefined],
  [
    ['https://index.docker.io/v1/'],
    'registry-1.docker.io',
    'library/nginx',
    'https://index.docker.io/v1/',
  ],
  [['docker.io'], 'registry-1.docker.io', 'library/nginx', 'docker.io'],
  [['docker.io', 'docker.io/team'], 'registry-1.docker.io', 'team/app', 'docker.io/team'],
  [['https://index.docker.io/v1/'], 'docker.io.evil.com', 'library/nginx', undefined],
  [['[::1]:5000'], '[::1]:5000', 'app', '[::1]:5000'],
]

for (const [keys, host, repository, found] of FOUND) {
  test(`of ${keys.join(', ')} ${host}/${repository} gets ${found ?? 'none'}`, async (t) => {
    const auths = Object.fromEntries(keys.map((key) => [key, { registrytoken: key }]))
    const { config } = open(t, { auths })

    const credentials = await config.credentials(host, repository)

    assert.equal(tokenOf(credentials), found)
  })
}

test("the host's own helper is asked, then the store for all, then the file", async (t) => {
  const { config, asked } = open(t, {
    auths: { 'own.io': { registrytoken: 'file' }, 'other.io': { registrytoken: 'file' } },
    credHelpers: { 'own.io': 'own' },
    credsStore: 'store',
  })

  const answers = [
    tokenOf(await config.credentials('own.io', 'app')),
    tokenOf(await config.credentials('other.io', 'app')),
    tokenOf(await config.credentials('registry-1.docker.io', 'library/nginx')),
  ]

  assert.deepEqual(answers, ['of own', 'file', undefined])
  assert.deepEqual(asked, ['own own.io', 'store other.io', 'store https://index.docker.io/v1/'])
})

test('a file that is not there has nothing, and that is said once', async (t) => {
  const log = warningLog()
  const file = `${folderOfFiles(t)}/config.json`
  const config = new DockerConfigFile(file, {
    helpers: { credentials: async () => assert.fail() },
    now: () => 0,
    warnOnce: log.warnOnce,
  })

  assert.equal(await config.credentials('a.io', 'app'), undefined)
  assert.equal(await config.credentials('a.io', 'app'), undefined)
  assert.deepEqual(log.warnings, [
    {
      message: 'a file of credentials cannot be used',
      fields: { file, reason: 'there is no such file' },
    },
  ])
})

function open(t: TestContext, content: object) {
  const asked: string[] = []
  const config = new DockerConfigFile(writeText(folderOfFiles(t), 'config.json', content), {
    helpers: {
      credentials: async (name, server) => {
        asked.push(`${name} ${server}`)
        return name === 'own' ? { kind: 'registryToken', token: 'of own' } : undefined
      },
    },
    now: () => 0,
    warnOnce: warningLog().warnOnce,
  })
  return { config, asked }
}

function tokenOf(credentials: Credentials | undefined): string | undefined {
  return credentials?.kind === 'registryToken' ? credentials.token : undefined
}
