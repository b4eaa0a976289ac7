import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProviderPlugin, parseProviderConfig } from '../../../src/credentials/kubelet.ts'
import type { Program, ProgramEnd } from '../../../src/credentials/program.ts'
import { ResolveError } from '../../../src/errors.ts'
import { warningLog } from '../../support/keychain.ts'

const API_VERSION = 'credentialprovider.kubelet.k8s.io/v1'
const BASIC = { kind: 'basic', username: 'user', password: 'hunter2' }

test('it is asked as the kubelet asks', async () => {
  const { plugin, runs } = open(() => answer({}))

  const credentials = await plugin.credentials('a.io', 'team/app')

  assert.deepEqual(credentials, BASIC)
  assert.deepEqual(runs, [
    {
      file: '/providers/plugin',
      args: ['--verbose'],
      env: { PATH: '/bin', AWS_REGION: 'here', PROFILE: 'example' },
      input: `{"apiVersion":"${API_VERSION}","kind":"CredentialProviderRequest","image":"a.io/team/app"}`,
    },
  ])
})

test('images that are not its own are not its business', async () => {
  const { plugin, runs } = open(() => answer({}))

  assert.equal(await plugin.credentials('other.com', 'team/app'), undefined)
  assert.deepEqual(runs, [])
})

const KEPT: readonly [scope: string, runs: number][] = [
  ['Image', 3],
  ['Registry', 2],
  ['Global', 1],
]

for (const [cacheKeyType, expected] of KEPT) {
  test(`an answer for the ${cacheKeyType} is kept for that`, async () => {
    const { plugin, runs } = open(() => answer({ cacheKeyType }))

    for (const [host, repository] of [
      ['a.io', 'app'],
      ['a.io', 'app'],
      ['a.io', 'other'],
      ['b.io', 'app'],
    ] as const) {
      assert.deepEqual(await plugin.credentials(host, repository), BASIC)
    }

    assert.equal(runs.length, expected)
  })
}

const DURATIONS: readonly [cacheDuration: string | undefined, keptMs: number][] = [
  ['5m0s', 300_000],
  [undefined, 60_000],
  ['0s', 0],
]

for (const [cacheDuration, keptMs] of DURATIONS) {
  test(`an answer with the duration ${cacheDuration} is kept for ${keptMs} ms`, async () => {
    const { plugin, runs, pass } = open(() => answer({ cacheDuration }))
    await plugin.credentials('a.io', 'app')

    pass(keptMs)
    await plugin.credentials('a.io', 'app')
    const before = runs.length
    pass(1)
    await plugin.credentials('a.io', 'app')

    assert.deepEqual([before, runs.length], keptMs === 0 ? [2, 3] : [1, 2])
  })
}

test('it runs once for concurrent calls for one image', async () => {
  const { plugin, runs } = open(() => answer({ cacheDuration: '0s' }))

  await Promise.all(Array.from({ length: 100 }, () => plugin.credentials('a.io', 'app')))

  assert.equal(runs.length, 1)
})

test('credentials for other hosts than the image is at are not given', async () => {
  const { plugin } = open(() => answer({ auth: { 'b.io': { username: 'u', password: 'p' } } }))

  assert.equal(await plugin.credentials('a.io', 'app'), undefined)
})

test('an empty answer is an answer', async () => {
  const { plugin, log } = open(() => answer({ auth: null }))

  assert.equal(await plugin.credentials('a.io', 'app'), undefined)
  assert.deepEqual(log.warnings, [])
})

const FAILURES: readonly [name: string, run: () => ProgramEnd, reason: string][] = [
  ['exits with 1', () => ({ code: 1, output: 'hunter2' }), 'it ended with exit code 1'],
  ['is killed', () => ({ code: undefined, output: 'hunter2' }), 'a signal ended it'],
  ['prints no JSON', () => ({ code: 0, output: 'hunter2' }), 'not a JSON object'],
  [
    'answers another kind',
    () => answer({ kind: 'hunter2' }),
    'the `kind` it answers is not CredentialProviderResponse',
  ],
  [
    'answers another version',
    () => answer({ apiVersion: 'hunter2' }),
    `the \`apiVersion\` it answers is not ${API_VERSION}`,
  ],
  [
    'does not say for what its answer holds',
    () => answer({ cacheKeyType: 'hunter2' }),
    'its `cacheKeyType` is not Image, Registry or Global',
  ],
  [
    'gives a duration that is none',
    () => answer({ cacheDuration: 'hunter2' }),
    'its `cacheDuration` is not a duration',
  ],
  [
    'does not answer in time',
    () => {
      throw new ResolveError('DEADLINE_EXCEEDED', 'no answer within 10000 ms')
    },
    'no answer within 10000 ms',
  ],
]

for (const [name, run, reason] of FAILURES) {
  test(`one that ${name} has nothing, rests for half a minute and is warned of once`, async () => {
    const { plugin, runs, log, pass } = open(run)

    const answers = [
      await plugin.credentials('a.io', 'app'),
      await plugin.credentials('a.io', 'app'),
    ]
    pass(30_001)
    answers.push(await plugin.credentials('a.io', 'app'))

    assert.deepEqual(answers, [undefined, undefined, undefined])
    assert.equal(runs.length, 2)
    assert.deepEqual(log.warnings, [
      {
        message: 'a credential provider failed; going on without it',
        fields: { provider: 'plugin', reason },
      },
    ])
  })
}

function answer(change: object): ProgramEnd {
  const output = JSON.stringify({
    kind: 'CredentialProviderResponse',
    apiVersion: API_VERSION,
    cacheKeyType: 'Image',
    auth: { '*.io': { username: 'user', password: 'hunter2' } },
    ...change,
  })
  return { code: 0, output }
}

function open(run: () => ProgramEnd) {
  const [config] = parseProviderConfig(
    JSON.stringify({
      apiVersion: 'kubelet.config.k8s.io/v1',
      kind: 'CredentialProviderConfig',
      providers: [
        {
          name: 'plugin',
          matchImages: ['*.io'],
          defaultCacheDuration: '1m',
          apiVersion: API_VERSION,
          args: ['--verbose'],
          env: [{ name: 'PROFILE', value: 'example' }],
        },
      ],
    }),
    assert.fail,
  )
  const log = warningLog()
  const runs: Program[] = []
  // A clock that never stood at 0: lru-cache takes that for no time at all.
  let now = 1
  const plugin = new ProviderPlugin(config ?? assert.fail(), '/providers', {
    programs: {
      run: async (program) => {
        runs.push(program)
        return run()
      },
    },
    environment: { PATH: '/bin', AWS_REGION: 'here', SECRET: 'hunter2' },
    now: () => now,
    warnOnce: log.warnOnce,
  })
  return {
    plugin,
    runs,
    log,
    pass(ms: number) {
      now += ms
    },
  }
}
