import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createReadStream, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { OperatorKeychain } from '../../../src/credentials/keychain.ts'
import {
  folderOfFiles,
  makePipe,
  warningLog,
  writeScript,
  writeText,
} from '../../support/keychain.ts'

const HELPER_FAILED = 'a credential helper failed; going on without it'
const PROVIDER_FAILED = 'a credential provider failed; going on without it'
const API_VERSION = 'credentialprovider.kubelet.k8s.io/v1'
const RESPONSE = {
  kind: 'CredentialProviderResponse',
  apiVersion: API_VERSION,
  cacheKeyType: 'Registry',
  cacheDuration: '1h',
  auth: { '*.io': { username: 'user', password: 'hunter2' } },
}

test('a helper reads the host and answers', async (t) => {
  const { keychain, log } = openHelper(t, [
    '[ "$1" = get ] || exit 9',
    'read -r host || true',
    'echo "chatter hunter2" >&2',
    `printf '{"ServerURL":"%s","Username":"%s","Secret":"hunter2"}' "$host" "$host"`,
  ])

  const credentials = await keychain.credentials('a.io:5000', 'app', undefined)

  assert.deepEqual(credentials, { kind: 'basic', username: 'a.io:5000', password: 'hunter2' })
  assert.deepEqual(log.warnings, [])
})

test('a helper that has nothing is no failure', async (t) => {
  const { keychain, log } = openHelper(t, [
    'echo "credentials not found in native keychain"',
    'exit 1',
  ])

  assert.equal(await keychain.credentials('a.io', 'app', undefined), undefined)
  assert.deepEqual(log.warnings, [])
})

const SILENT = 'no answer in time'
const BAD_PROGRAMS: readonly [name: string, lines: readonly string[], reason: string][] = [
  ['hangs', ['echo hunter2', 'sleep 300'], SILENT],
  ['ignores being asked to end', ["trap '' TERM INT HUP", 'sleep 300'], SILENT],
  ['prints garbage', ['echo "{hunter2"'], 'not a JSON object'],
  ['prints nothing', ['exit 0'], 'not a JSON object'],
  [
    'prints 2 MiB',
    ['head -c 2097152 /dev/zero | tr "\\0" h', 'sleep 300'],
    'it printed more than 256 KiB',
  ],
  [
    'exits with 1',
    ['echo "error hunter2"', 'echo "hunter2" >&2', 'exit 1'],
    'it ended with exit code 1',
  ],
  ['is killed', ['kill -9 $$'], 'a signal ended it'],
  ['does not read its question', ['exec <&-', 'exit 3'], 'it ended with exit code 3'],
]

/** How long a program may take that is silent, or that is not, and how that is told. */
function limitOf(said: string, silentMs: number): readonly [limitMs: number, reason: string] {
  return said === SILENT ? [silentMs, `no answer within ${silentMs} ms`] : [60_000, said]
}

for (const [name, lines, said] of BAD_PROGRAMS) {
  test(`a helper that ${name} is warned of, and it goes on with the file`, async (t) => {
    const [limitMs, reason] = limitOf(said, 400)
    const { keychain, log } = openHelper(t, lines, limitMs)

    const credentials = await keychain.credentials('known.io', 'app', undefined)
    const anonymous = await keychain.credentials('a.io', 'app', undefined)

    assert.deepEqual(credentials, { kind: 'registryToken', token: 'of the file' })
    assert.equal(anonymous, undefined)
    assert.deepEqual(log.warnings, [{ message: HELPER_FAILED, fields: { helper: 'test', reason } }])
  })

  test(`a provider that ${name} is warned of, and the next one is asked`, async (t) => {
    // Within which the next one has to answer.
    const [limitMs, reason] = limitOf(said, 2_000)
    const { keychain, log } = openProviders(
      t,
      { first: lines, second: [`echo '${JSON.stringify(RESPONSE)}'`] },
      limitMs,
    )

    const credentials = await keychain.credentials('a.io', 'app', undefined)

    assert.deepEqual(credentials, { kind: 'basic', username: 'user', password: 'hunter2' })
    assert.deepEqual(log.warnings, [
      { message: PROVIDER_FAILED, fields: { provider: 'first', reason } },
    ])
  })
}

test('a helper that is not installed, or may not be run, is warned of', async (t) => {
  const folder = folderOfFiles(t)
  writeText(folder, 'docker-credential-locked', '#!/bin/sh\n')
  for (const [helper, reason] of [
    ['missing', 'it is not installed'],
    ['locked', 'no permission to run it'],
  ] as const) {
    const { keychain, log } = openDocker(t, folder, { credsStore: helper })

    assert.equal(await keychain.credentials('a.io', 'app', undefined), undefined)
    assert.deepEqual(log.warnings, [{ message: HELPER_FAILED, fields: { helper, reason } }])
  }
})

test('a provider is asked as the kubelet asks and its answer is kept', async (t) => {
  const { keychain, log, folder } = openProviders(t, {
    plugin: [
      'cat >> "$LOG"',
      'echo " $1 $OUR_SECRET" >> "$LOG"',
      `echo '${JSON.stringify(RESPONSE)}'`,
    ],
  })

  for (const repository of ['team/app', 'team/other']) {
    assert.deepEqual(await keychain.credentials('a.io', repository, undefined), {
      kind: 'basic',
      username: 'user',
      password: 'hunter2',
    })
  }

  assert.equal(
    readFileSync(join(folder, 'log'), 'utf8'),
    `{"apiVersion":"${API_VERSION}","kind":"CredentialProviderRequest","image":"a.io/team/app"} --get \n`,
  )
  assert.deepEqual(log.warnings, [])
})

test('more questions than may run at a time are all answered', async (t) => {
  const { keychain, log } = openHelper(t, [
    'read -r host || true',
    `printf '{"Username":"%s","Secret":"s"}' "$host"`,
  ])
  const hosts = Array.from({ length: 40 }, (_, index) => `r${index}.io`)

  const answers = await Promise.all(
    hosts.map((host) => keychain.credentials(host, 'app', undefined)),
  )

  assert.deepEqual(
    answers.map((answer) => (answer?.kind === 'basic' ? answer.username : answer)),
    hosts,
  )
  assert.deepEqual(log.warnings, [])
})

test('closing ends what runs, its children too, and starts nothing any more', async (t) => {
  const folder = folderOfFiles(t)
  const pipe = makePipe(folder)
  writeScript(folder, 'docker-credential-test', [`sleep 300 > ${pipe} &`, 'wait'])
  const { keychain, log } = openDocker(t, folder, { credsStore: 'test' })
  const held = createReadStream(pipe)
  const ended = once(held.resume(), 'end')

  const answer = keychain.credentials('a.io', 'app', undefined)
  await once(held, 'open')
  await keychain.close()
  await ended

  assert.equal(await answer, undefined)
  assert.equal(await keychain.credentials('b.io', 'app', undefined), undefined)
  assert.deepEqual(log.warnings, [])
})

test('what a program leaves behind ends with it', async (t) => {
  const folder = folderOfFiles(t)
  const pipe = makePipe(folder)
  writeScript(folder, 'docker-credential-test', [
    `exec 3> ${pipe}`,
    'sleep 300 &',
    `echo '{"Username":"user","Secret":"hunter2"}'`,
  ])
  const { keychain } = openDocker(t, folder, { credsStore: 'test' })
  const ended = once(createReadStream(pipe).resume(), 'end')

  const credentials = await keychain.credentials('a.io', 'app', undefined)
  await ended

  assert.deepEqual(credentials, { kind: 'basic', username: 'user', password: 'hunter2' })
})

test('no failure of any source puts a secret into the log', async (t) => {
  const folder = folderOfFiles(t)
  const log = warningLog()
  writeScript(folder, 'docker-credential-test', ['echo hunter2', 'echo hunter2 >&2', 'exit 1'])
  writeScript(folder, 'plugin', ['echo \'{"auth":"hunter2\'', 'echo hunter2 >&2'])
  const provider = {
    name: 'plugin',
    matchImages: ['*.io'],
    defaultCacheDuration: '1m',
    apiVersion: API_VERSION,
  }
  const providers = {
    apiVersion: 'kubelet.config.k8s.io/v1',
    kind: 'CredentialProviderConfig',
    providers: [provider, { ...provider, env: [{ name: 'SECRET', value: 'hunter2\0' }] }],
  }
  const keychain = new OperatorKeychain({
    config: {
      dockerConfigs: [
        writeText(folder, 'broken', '{"auths":{"a.io":{"auth":"hunter2'),
        writeText(folder, 'partly', {
          auths: { 'https://user:hunter2@a.io': { auth: 'hunter2' }, 'a.io': { auth: 'hunter2' } },
        }),
        writeText(folder, 'helper', { credHelpers: { 'a.io': 'test' } }),
        join(folder, 'missing'),
      ],
      pullSecrets: [writeText(folder, 'secret', 'hunter2')],
      credentialProviders: {
        config: writeText(folder, 'providers', providers),
        binDir: folder,
      },
      helperTimeoutMs: 30_000,
    },
    logger: log,
    now: () => 0,
    environment: { PATH: `${folder}:${process.env['PATH']}` },
  })
  t.after(() => keychain.close())

  assert.equal(await keychain.credentials('a.io', 'app', undefined), undefined)

  assert.deepEqual(
    log.warnings.map(({ fields }) => fields['reason']),
    [
      'not a JSON object',
      'an entry has an `auth` that is not base64 of user:password',
      'the entry "a.io" has an `auth` that is not base64 of user:password',
      'it ended with exit code 1',
      'there is no such file',
      'not a JSON object',
      'not a JSON object',
      'it cannot be started (ERR_INVALID_ARG_VALUE)',
    ],
  )
  assert.doesNotMatch(JSON.stringify(log.warnings), /hunter2/)
})

/** A Docker configuration whose store is this script, and which knows `known.io` itself. */
function openHelper(t: TestContext, lines: readonly string[], limitMs?: number) {
  const folder = folderOfFiles(t)
  writeScript(folder, 'docker-credential-test', lines)
  const auths = { 'known.io': { registrytoken: 'of the file' } }
  return openDocker(t, folder, { auths, credsStore: 'test' }, limitMs)
}

function openDocker(t: TestContext, folder: string, content: object, limitMs = 60_000) {
  const log = warningLog()
  const keychain = new OperatorKeychain({
    config: {
      dockerConfigs: [writeText(folder, 'config.json', content)],
      pullSecrets: [],
      credentialProviders: undefined,
      helperTimeoutMs: limitMs,
    },
    logger: log,
    now: () => 0,
    environment: { PATH: `${folder}:${process.env['PATH']}` },
  })
  t.after(() => keychain.close())
  return { keychain, log }
}

function openProviders(
  t: TestContext,
  scripts: Readonly<Record<string, readonly string[]>>,
  limitMs = 60_000,
) {
  const folder = folderOfFiles(t)
  const log = warningLog()
  for (const [name, lines] of Object.entries(scripts)) writeScript(folder, name, lines)
  const config = writeText(folder, 'config.yaml', {
    apiVersion: 'kubelet.config.k8s.io/v1',
    kind: 'CredentialProviderConfig',
    providers: Object.keys(scripts).map((name) => ({
      name,
      matchImages: ['*.io'],
      defaultCacheDuration: '1m',
      apiVersion: API_VERSION,
      args: ['--get'],
      env: [{ name: 'LOG', value: join(folder, 'log') }],
    })),
  })
  const keychain = new OperatorKeychain({
    config: {
      dockerConfigs: [],
      pullSecrets: [],
      credentialProviders: { config, binDir: folder },
      helperTimeoutMs: limitMs,
    },
    logger: log,
    now: () => 0,
    environment: { PATH: process.env['PATH'], OUR_SECRET: 'hunter2' },
  })
  t.after(() => keychain.close())
  return { keychain, log, folder }
}
