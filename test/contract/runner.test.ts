import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'

const ROOT = resolve(import.meta.dirname, '../..')
const PASSES = `import { test } from 'node:test'\ntest('is well', () => {})\n`
const FAILS = `import { test } from 'node:test'\ntest('is not', () => { throw new Error('no') })\n`
const SKIPS = `import { test } from 'node:test'\ntest('waits', (t) => t.skip('no containerd'))\n`

test('the runner counts what passed, failed and was skipped, and says why', (t) => {
  const folder = plant(t, { 'a/a.test.ts': PASSES, 'b.test.ts': FAILS, 'c.test.ts': SKIPS })

  const { code, output } = runTests(folder)

  assert.equal(code, 1)
  assert.match(output, /c\.test\.ts: waits: no containerd/)
  assert.match(
    output,
    /\nfailed: .*b\.test\.ts: is not\n {4}Error: no\n[\s\S]*\n1 passed, 1 failed, 1 skipped\n$/,
  )
})

test('the runner is content when everything passed', (t) => {
  const folder = plant(t, {
    'a.test.ts': PASSES,
    'e2e/b.test.ts': `import './behaviour.ts'\n`,
    'e2e/behaviour.ts': PASSES,
  })

  const { code, output } = runTests(folder)

  assert.equal(code, 0)
  assert.equal(output.match(/ℹ tests /g)?.length, 1)
  assert.match(output, /\n2 passed, 0 failed, 0 skipped\n$/)
})

test('the runner fails on a file without tests', (t) => {
  const folder = plant(t, { 'a.test.ts': PASSES, 'b.test.ts': 'process.exit(0)\n' })

  const { code, output } = runTests(folder)

  assert.equal(code, 1)
  assert.match(output, /no test in .*b\.test\.ts/)
  assert.match(output, /\n1 passed, 1 failed, 0 skipped\n$/)
})

test('files that share a process are told apart', (t) => {
  const folder = plant(t, {
    'unit/a.test.ts': PASSES,
    'unit/b.test.ts': FAILS,
    'unit/c.test.ts': '',
    ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`unit/${n}.test.ts`, PASSES])),
  })

  const { code, output } = runTests(folder)

  assert.equal(code, 1)
  assert.match(output, /test at \S*unit\/b\.test\.ts/)
  assert.match(output, /no test in .*unit\/c\.test\.ts/)
  assert.match(output, /\n9 passed, 2 failed, 0 skipped\n$/)
})

test('the runner fails on a folder without files', (t) => {
  const folder = plant(t, {})

  const { code } = runTests(folder)

  assert.equal(code, 1)
})

test('a skipped end-to-end test fails the run only where all of them are required', (t) => {
  const folder = plant(t, { 'e2e/c.test.ts': SKIPS })

  const tolerant = runTests(folder)
  const strict = runTests(folder, { REQUIRE_E2E: '1' })

  assert.equal(tolerant.code, 0)
  assert.match(tolerant.output, /\n0 passed, 0 failed, 1 skipped\n$/)
  assert.equal(strict.code, 1)
  assert.match(strict.output, /REQUIRE_E2E=1, and end-to-end tests were skipped/)
})

function plant(t: TestContext, files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'runner-'))
  t.after(() => rmSync(folder, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(resolve(folder, name, '..'), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

function runTests(
  folder: string,
  environment: Readonly<Record<string, string>> = {},
): { readonly code: number | null; readonly output: string } {
  const { status, stdout } = spawnSync(
    process.execPath,
    ['--import', 'tsx', 'test/run.ts', folder],
    // Without NODE_TEST_CONTEXT, by which node refuses to run tests inside tests.
    {
      cwd: ROOT,
      env: { PATH: process.env['PATH'] ?? '', ...environment },
      encoding: 'utf8',
      timeout: 60_000,
    },
  )
  return { code: status, output: stdout }
}
