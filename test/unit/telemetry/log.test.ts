import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'

test('a log line is JSON on standard error, with its level as text', () => {
  const file = resolve(import.meta.dirname, '../../../src/telemetry/log.ts')
  const program = `const { createLogger } = await import(${JSON.stringify(file)})
    const logger = await createLogger('debug')
    for (const level of ['debug', 'info', 'warn', 'error']) logger[level]({ field: 1 }, 'text')`
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', program]

  const { stderr, stdout } = spawnSync(process.execPath, flags, { encoding: 'utf8' })

  const lines = stderr.trim().split('\n')
  const levels = lines.map((line) => {
    const { level, field, msg } = JSON.parse(line)
    return [level, field, msg]
  })
  assert.deepEqual(
    levels,
    ['debug', 'info', 'warn', 'error'].map((level) => [level, 1, 'text']),
  )
  assert.equal(stdout, '')
})
