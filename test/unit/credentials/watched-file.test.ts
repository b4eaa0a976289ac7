import assert from 'node:assert/strict'
import { renameSync, rmSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { WatchedFile } from '../../../src/credentials/watched-file.ts'
import { ResolveError } from '../../../src/errors.ts'
import { folderOfFiles, makePipe, warningLog, writeText } from '../../support/keychain.ts'

const UNUSABLE = 'a file of credentials cannot be used'

test('a file is looked at once a second and read when it changed', async (t) => {
  const { file, watched, parsed, pass } = open(t)
  writeText(folderOf(file), 'secret', 'one')

  const first = await watched.read()
  writeText(folderOf(file), 'secret', 'number two')
  const atOnce = await watched.read()
  pass(1_000)
  const later = await watched.read()
  pass(1_000)
  await watched.read()

  assert.deepEqual([first, atOnce, later], ['one', 'one', 'number two'])
  assert.deepEqual(parsed, ['one', 'number two'])
})

test('a file of the same length that takes its place is seen', async (t) => {
  const { file, watched, pass } = open(t)
  writeText(folderOf(file), 'secret', 'one')
  await watched.read()

  renameSync(writeText(folderOf(file), 'next', 'two'), file)
  pass(1_000)

  assert.equal(await watched.read(), 'two')
})

test('a link that is turned to another folder is followed, as Kubernetes updates secrets', async (t) => {
  const folder = folderOfFiles(t)
  const link = join(folder, 'secret')
  const { watched, pass } = open(t, link)
  symlinkSync(writeText(folder, 'v1', 'one'), link)
  await watched.read()

  symlinkSync(writeText(folder, 'v2', 'two'), join(folder, 'new'))
  renameSync(join(folder, 'new'), link)
  pass(1_000)

  assert.equal(await watched.read(), 'two')
})

test('calls while it is being read wait for the same reading', async (t) => {
  const { file, watched, parsed } = open(t)
  writeText(folderOf(file), 'secret', 'one')

  const answers = await Promise.all(Array.from({ length: 50 }, () => watched.read()))

  assert.deepEqual(new Set(answers), new Set(['one']))
  assert.deepEqual(parsed, ['one'])
})

test('a missing file is warned of once, until it was there', async (t) => {
  const { file, watched, log, pass } = open(t)
  const answers: unknown[] = []

  for (const content of [undefined, undefined, 'one', undefined, undefined]) {
    if (content === undefined) rmSync(file, { force: true })
    else writeText(folderOf(file), 'secret', content)
    answers.push(await watched.read())
    pass(1_000)
  }

  assert.deepEqual(answers, [undefined, undefined, 'one', undefined, undefined])
  const warning = { message: UNUSABLE, fields: { file, reason: 'there is no such file' } }
  assert.deepEqual(log.warnings, [warning, warning])
})

test('content that makes no sense leaves what it said before, and is warned of', async (t) => {
  const { file, watched, log, pass } = open(t)
  writeText(folderOf(file), 'secret', 'one')
  await watched.read()

  writeText(folderOf(file), 'secret', 'bad')
  pass(1_000)

  assert.equal(await watched.read(), 'one')
  assert.deepEqual(log.warnings, [{ message: UNUSABLE, fields: { file, reason: 'it is bad' } }])
})

test('more than the limit is not read', async (t) => {
  const { file, watched, log } = open(t)
  writeText(folderOf(file), 'secret', 'x'.repeat(1025))

  assert.equal(await watched.read(), undefined)
  assert.deepEqual(log.warnings, [
    { message: UNUSABLE, fields: { file, reason: 'larger than 1 KiB' } },
  ])
})

test('a pipe, a folder and a device are not waited for', async (t) => {
  const folder = folderOfFiles(t)
  const pipe = makePipe(folder)

  for (const file of [pipe, folder, '/dev/zero']) {
    const { watched, log } = open(t, file)
    assert.equal(await watched.read(), undefined)
    assert.deepEqual(log.warnings, [
      { message: UNUSABLE, fields: { file, reason: 'not a regular file' } },
    ])
  }
})

test('a clock that is set back does not make it stand still', async (t) => {
  const { file, watched, pass } = open(t)
  writeText(folderOf(file), 'secret', 'one')
  await watched.read()

  writeText(folderOf(file), 'secret', 'number two')
  pass(-3_600_000)

  assert.equal(await watched.read(), 'number two')
})

function open(t: TestContext, file = join(folderOfFiles(t), 'secret')) {
  const log = warningLog()
  const parsed: string[] = []
  let now = 10_000_000
  const watched = new WatchedFile({
    file,
    limitBytes: 1024,
    parse(text) {
      if (text === 'bad') throw new ResolveError('CONFIG_INVALID', 'it is bad')
      parsed.push(text)
      return text
    },
    now: () => now,
    warnOnce: log.warnOnce,
  })
  return {
    file,
    watched,
    log,
    parsed,
    pass(ms: number) {
      now += ms
    },
  }
}

function folderOf(file: string): string {
  return join(file, '..')
}
