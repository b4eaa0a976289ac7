import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CredentialHelpers } from '../../../src/credentials/helpers.ts'
import type { Program, ProgramEnd } from '../../../src/credentials/program.ts'
import { ResolveError } from '../../../src/errors.ts'
import { warningLog } from '../../support/keychain.ts'

const ANSWER = { ServerURL: 'a.io', Username: 'user', Secret: 'hunter2' }

test('a helper is asked for a server and its answer kept for a minute', async () => {
  const { helpers, runs, pass } = open(() => json(ANSWER))

  const credentials = await helpers.credentials('ecr-login', 'a.io')
  pass(60_000)
  await helpers.credentials('ecr-login', 'a.io')
  const before = runs.length
  pass(1)
  await helpers.credentials('ecr-login', 'a.io')

  assert.deepEqual(credentials, { kind: 'basic', username: 'user', password: 'hunter2' })
  assert.deepEqual(runs[0], {
    file: 'docker-credential-ecr-login',
    args: ['get'],
    env: { PATH: '/bin' },
    input: 'a.io',
  })
  assert.deepEqual([before, runs.length], [1, 2])
})

test('it runs once for concurrent calls', async () => {
  const { helpers, runs } = open(() => json(ANSWER))

  await Promise.all(Array.from({ length: 100 }, () => helpers.credentials('h', 'a.io')))
  await helpers.credentials('h', 'b.io')

  assert.equal(runs.length, 2)
})

const ANSWERS: readonly [name: string, end: ProgramEnd, expected: unknown][] = [
  [
    'the user <token> means an identity token',
    json({ Username: '<token>', Secret: 'id' }),
    { kind: 'identityToken', token: 'id' },
  ],
  [
    'not found is none',
    { code: 1, output: 'credentials not found in native keychain\n' },
    undefined,
  ],
  ['an empty entry is none', json({ ServerURL: '', Username: '', Secret: '' }), undefined],
]

for (const [name, end, expected] of ANSWERS) {
  test(`${name}, without a warning`, async () => {
    const { helpers, log } = open(() => end)

    assert.deepEqual(await helpers.credentials('h', 'a.io'), expected)
    assert.deepEqual(log.warnings, [])
  })
}

test('a name that is no name of a program is not run', async () => {
  const { helpers, runs, log } = open(() => json(ANSWER))

  for (const name of ['../../bin/sh', 'a b', 'a;b', '$(id)', '', 'a\nb']) {
    assert.equal(await helpers.credentials(name, 'a.io'), undefined)
  }

  assert.deepEqual(runs, [])
  assert.equal(log.warnings.length, 6)
})

test('a failing helper is warned of once, for however many registries', async () => {
  const { helpers, log, pass } = open(() => {
    throw new ResolveError('UNAVAILABLE', 'it is not installed')
  })

  for (const server of ['a.io', 'b.io', 'a.io']) {
    assert.equal(await helpers.credentials('h', server), undefined)
    pass(60_001)
  }

  assert.deepEqual(log.warnings, [
    {
      message: 'a credential helper failed; going on without it',
      fields: { helper: 'h', reason: 'it is not installed' },
    },
  ])
})

function json(value: object): ProgramEnd {
  return { code: 0, output: JSON.stringify(value) }
}

function open(run: () => ProgramEnd) {
  const log = warningLog()
  const runs: Program[] = []
  // A clock that never stood at 0: lru-cache takes that for no time at all.
  let now = 1
  const helpers = new CredentialHelpers({
    programs: {
      run: async (program) => {
        runs.push(program)
        return run()
      },
    },
    environment: { PATH: '/bin' },
    now: () => now,
    warnOnce: log.warnOnce,
  })
  return {
    helpers,
    runs,
    log,
    pass(ms: number) {
      now += ms
    },
  }
}
