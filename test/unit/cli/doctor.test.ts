import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runCli } from '../../support/cli.ts'

const FOUND = {
  check: 'plain-http',
  area: 'runtime',
  severity: 'error',
  file: '/etc/x.toml',
  line: 3,
  problem: 'it would ask by https',
  consequence: 'pulls fail',
  mend: 'write it',
} as const

const WARNED = {
  ...FOUND,
  check: 'clock',
  area: 'registries',
  severity: 'warning',
  file: null,
  line: null,
} as const

function doctor(args: readonly string[], findings: readonly (typeof FOUND | typeof WARNED)[]) {
  const asked: unknown[] = []
  const examine = async (options: unknown) => {
    asked.push(options)
    return { findings, checked: ['plain-http', 'clock'], skipped: ['registries: not asked'] }
  }
  return runCli(['doctor', ...args], { examine }).then((result) => ({ ...result, asked }))
}

test('findings are grouped, each with its place, what follows and what to do', async () => {
  const { code, out } = await doctor([], [FOUND, WARNED])

  assert.equal(code, 1)
  assert.equal(
    out,
    `runtime
  error    /etc/x.toml:3: it would ask by https [plain-http]
           so:  pulls fail
           do:  write it

registries
  warning  it would ask by https [clock]
           so:  pulls fail
           do:  write it

2 checks: 1 error, 1 warning
not looked at: registries: not asked
`,
  )
})

test('without findings it says so, and the code is 0', async () => {
  const { code, out } = await doctor([], [])

  assert.equal(code, 0)
  assert.match(out, /^2 checks: nothing stands in the way$/m)
})

test('--fail-on says what ends it with 1', async () => {
  const codes = async (findings: readonly (typeof FOUND | typeof WARNED)[]) =>
    Promise.all(
      ['error', 'warning', 'nothing'].map(
        async (severity) => (await doctor(['--fail-on', severity], findings)).code,
      ),
    )

  assert.deepEqual(await codes([FOUND]), [1, 1, 0])
  assert.deepEqual(await codes([WARNED]), [0, 1, 0])
  const { code, err } = await doctor(['--fail-on', 'gone'], [])
  assert.equal(code, 2)
  assert.match(err, /error, warning or nothing; not gone/)
})

test('--json is the whole examination, and the options go on as they are', async () => {
  const { asked, out } = await doctor(
    ['--json', '--root', '/host', '--offline', '-f', '/x'],
    [FOUND],
  )

  assert.deepEqual(JSON.parse(out).findings, [FOUND])
  assert.deepEqual(asked, [{ file: '/x', root: '/host', offline: true }])
})
