import assert from 'node:assert/strict'
import {
  appendFile,
  mkdir,
  readFile,
  readlink,
  rename,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openLeaseJournal } from '../../../../src/runtime/names/journal.ts'
import { temporaryFolder } from '../../../support/stack.ts'

function startJournal(t: TestContext) {
  const folder = join(temporaryFolder(t), 'state')
  const warnings: unknown[] = []
  const log = { warn: (...line: unknown[]) => warnings.push(line) }
  const due: (() => void)[] = []
  const open = () => openLeaseJournal(folder, log, (work) => due.push(work))
  /** A second passes. */
  const rest = () => {
    for (const work of due.splice(0)) work()
  }
  return { folder, file: join(folder, 'claims.jsonl'), open, rest, warnings }
}

test('what was begun and not done is known to the next process', async (t) => {
  const { open } = startJournal(t)
  const before = open()
  await before.begin('m/x', ['x:1', 'x@d'])
  await before.begin('m/y', ['y:1'])
  before.done('m/y')
  await before.begin('m/z', [])

  const after = open()

  assert.deepEqual(
    [...(await after.left())],
    [
      ['m/x', ['x:1', 'x@d']],
      ['m/z', []],
    ],
  )
  assert.deepEqual([await after.has('m/x'), await after.has('m/y')], [true, false])
})

test('a name that is begun twice is to have the names of both', async (t) => {
  const { open } = startJournal(t)
  const journal = open()

  await Promise.all([journal.begin('m/x', ['x:1']), journal.begin('m/x', ['x:1', 'x:2'])])

  assert.deepEqual([...(await open().left())], [['m/x', ['x:1', 'x:2']]])
})

test('a line that was cut short takes the next one not with it', async (t) => {
  const { folder, file, open } = startJournal(t)
  await mkdir(folder)
  await writeFile(file, '{"begin":"m/w","wan')

  await open().begin('m/x', ['x:1'])

  assert.deepEqual([...(await open().left())], [['m/x', ['x:1']]])
})

test('the file is empty again soon after nothing is under way', async (t) => {
  const { open, file, rest } = startJournal(t)
  const journal = open()
  await journal.begin('m/x', [])
  journal.done('m/x')

  rest()

  // The next one is written behind it.
  await journal.begin('m/y', [])
  assert.deepEqual([...(await open().left()).keys()], ['m/y'])
  assert.equal((await readFile(file, 'utf8')).trim().split('\n').length, 1)
})

test('what is done is written with the next one that begins, or soon, whichever is first', async (t) => {
  const { open, rest } = startJournal(t)
  const journal = open()
  await Promise.all([journal.begin('m/x', []), journal.begin('m/y', [])])

  journal.done('m/x')
  const atOnce = [...(await open().left()).keys()]
  await journal.begin('m/z', [])
  const withTheNext = [...(await open().left()).keys()]
  journal.done('m/y')
  rest()
  await journal.begin('m/z', [])
  const soon = [...(await open().left()).keys()]

  assert.deepEqual(atOnce, ['m/x', 'm/y'])
  assert.deepEqual(withTheNext, ['m/y', 'm/z'])
  assert.deepEqual(soon, ['m/z'])
})

test('what is done is written at once where somebody waits for that', async (t) => {
  const { open, rest } = startJournal(t)
  const journal = open()
  await Promise.all([journal.begin('m/x', []), journal.begin('m/y', [])])
  journal.done('m/x')

  await journal.written()

  assert.deepEqual([...(await open().left()).keys()], ['m/y'])
  rest()
  await journal.written()
  assert.deepEqual([...(await open().left()).keys()], ['m/y'])
})

test('a line that was cut short, and what is no line of ours, is left out', async (t) => {
  const { open, folder, file } = startJournal(t)
  await mkdir(folder)
  await writeFile(file, '{"begin":"m/x","wanted":["x:1"]}\n[1]\n{"begin":7}\nnull\n')
  await appendFile(file, '{"begin":"m/y","wan')

  const left = await open().left()

  assert.deepEqual([...left], [['m/x', ['x:1']]])
})

test('only its owner may read it', async (t) => {
  const { open, folder, file } = startJournal(t)

  await open().begin('m/x', [])

  assert.deepEqual(
    [(await stat(folder)).mode & 0o777, (await stat(file)).mode & 0o777],
    [0o700, 0o600],
  )
})

test('a folder that cannot be used is a warning, once, and no failure', async (t) => {
  const { open, folder, warnings } = startJournal(t)
  await writeFile(folder, 'a file in its place')
  const journal = open()

  await journal.begin('m/x', [])
  await journal.begin('m/y', [])
  journal.done('m/y')

  assert.equal(warnings.length, 1)
  assert.equal(await journal.has('m/x'), true)
})

test('a file that others may have written is set aside with a warning, and a new one kept', async (t) => {
  const { open, folder, file, warnings } = startJournal(t)
  const elsewhere = join(folder, 'elsewhere')
  await mkdir(folder)
  await writeFile(elsewhere, '{"begin":"m/planted","wanted":["x:1"]}\n', { mode: 0o600 })
  await symlink(elsewhere, file)
  const journal = open()

  assert.equal((await journal.left()).size, 0)
  await journal.begin('m/x', ['x:1'])

  assert.equal(warnings.length, 1)
  assert.deepEqual([...(await open().left()).keys()], ['m/x'])
  assert.match(await readFile(elsewhere, 'utf8'), /planted/)
  assert.equal(await readlink(`${file}.damaged`), elsewhere)
})

test('what takes the place of the file later is not written into', async (t) => {
  const { open, folder, file, warnings } = startJournal(t)
  const elsewhere = join(folder, 'elsewhere')
  const journal = open()
  await journal.begin('m/x', [])
  await rename(file, `${file}.away`)
  await writeFile(elsewhere, 'as it was')
  await symlink(elsewhere, file)

  await journal.begin('m/y', [])
  journal.done('m/x')
  journal.done('m/y')
  await journal.begin('m/z', [])

  assert.equal(await readFile(elsewhere, 'utf8'), 'as it was')
  assert.equal(warnings.length, 1)
})

test('a file beyond reason is not read', async (t) => {
  const { open, folder, file, warnings } = startJournal(t)
  await mkdir(folder)
  await writeFile(file, '{"begin":"m/x"}\n'.repeat(400_000))

  const left = await open().left()

  assert.equal(left.size, 0)
  assert.equal(warnings.length, 1)
})
