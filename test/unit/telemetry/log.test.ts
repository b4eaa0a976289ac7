import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../../support/stack.ts'

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

/** What a program logs to a file, as the journal gets it or not. */
function logged(t: TestContext, isJournal: boolean, format: string): string {
  const out = join(temporaryFolder(t), 'log')
  const file = resolve(import.meta.dirname, '../../../src/telemetry/log.ts')
  const program = `const { createLogger } = await import(${JSON.stringify(file)})
    const { fstatSync } = await import('node:fs')
    const { dev, ino } = fstatSync(2)
    if (${isJournal}) process.env['JOURNAL_STREAM'] = dev + ':' + ino
    else process.env['JOURNAL_STREAM'] = '1:1'
    const logger = await createLogger('debug', ${format})
    logger.debug('a')
    logger.info({ file: '/etc/x', reason: 'two words' }, 'b')
    logger.warn({ err: new Error('no\\u001b[31m way') }, 'c')
    logger.error({ list: [1] }, 'd')`
  const flags = ['--import', 'tsx', '--input-type=module', '--eval', program]
  const descriptor = openSync(out, 'w')
  spawnSync(process.execPath, flags, { stdio: ['ignore', 'ignore', descriptor] })
  closeSync(descriptor)
  return readFileSync(out, 'utf8')
}

test('the journal is told the priority of each line, and nothing else is', (t) => {
  const lines = logged(t, true, 'undefined').trim().split('\n')

  assert.deepEqual(
    lines.map((line) => line.slice(0, 3)),
    ['<7>', '<6>', '<4>', '<3>'],
  )
  assert.equal(JSON.parse(lines[1]?.slice(3) ?? '').reason, 'two words')
  assert.match(logged(t, false, 'undefined'), /^{/)
})

test('a log for people has time, level, message and fields, and nothing that moves a cursor', (t) => {
  const lines = logged(t, false, "'text'").trim().split('\n')

  const [debug = '', info = '', warn = '', error = ''] = lines
  assert.match(debug, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z DEBUG a$/)
  assert.match(info, /Z INFO {2}b file=\/etc\/x reason="two words"$/)
  assert.match(warn, /Z WARN {2}c err="no\\u001b\[31m way"$/)
  assert.match(error, /Z ERROR d list=\[1\]$/)
})
