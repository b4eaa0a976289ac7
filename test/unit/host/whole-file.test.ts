import assert from 'node:assert/strict'
import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeWhole } from '../../../src/host/whole-file.ts'
import { temporaryFolder } from '../../support/stack.ts'

test('a file is replaced, readable by its owner alone, and nothing is left beside it', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'file')
  await writeFile(path, 'old', { mode: 0o644 })

  await writeWhole(path, join(folder, 'next'), ['new', ' text'])

  assert.equal(await readFile(path, 'utf8'), 'new text')
  assert.equal((await stat(path)).mode & 0o777, 0o600)
  assert.deepEqual(await readdir(folder), ['file'])
})

test('what another program put in the place of the new file is never written into', async (t) => {
  const folder = temporaryFolder(t)
  const foreign = join(folder, 'foreign')
  await writeFile(foreign, 'foreign')
  await symlink(foreign, join(folder, 'next'))

  await writeWhole(join(folder, 'file'), join(folder, 'next'), 'new')

  assert.equal(await readFile(foreign, 'utf8'), 'foreign')
  assert.deepEqual((await readdir(folder)).sort(), ['file', 'foreign'])
})

test('a file that cannot be replaced stays, and the new one is removed', async (t) => {
  const folder = temporaryFolder(t)
  await mkdir(join(folder, 'file'))

  await assert.rejects(writeWhole(join(folder, 'file'), join(folder, 'next'), 'new'), {
    code: 'EISDIR',
  })

  assert.deepEqual(await readdir(folder), ['file'])
})
