import assert from 'node:assert/strict'
import { readdir, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkStateFolder } from '../../../src/host/state-folder.ts'
import { mountDisk } from '../../support/small-disk.ts'
import { temporaryFolder } from '../../support/stack.ts'

interface Warning {
  readonly folder: string
  readonly code: string
  readonly reason: string
  readonly follows: readonly string[]
  readonly mend: string
}

async function warningsOf(
  folder: string,
  write?: () => Promise<void>,
): Promise<readonly (readonly [Warning, string])[]> {
  const warnings: (readonly [Warning, string])[] = []
  const logger = { warn: (fields: Warning, text: string) => warnings.push([fields, text]) } as never
  await checkStateFolder({ folder, logger, ...(write === undefined ? {} : { write }) })
  return warnings
}

test('a folder that can be written is made for its owner alone, and nothing is left in it', async (t) => {
  const folder = join(temporaryFolder(t), 'a', 'state')

  assert.deepEqual(await warningsOf(folder), [])

  assert.equal((await stat(folder)).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(folder), [])
})

test('a file in its way is one warning: what, where, what follows and how to mend it', async (t) => {
  const file = join(temporaryFolder(t), 'file')
  await writeFile(file, '')

  for (const folder of [file, join(file, 'state')]) {
    const [[warning, text] = assert.fail('no warning'), ...more] = await warningsOf(folder)

    assert.equal(text, 'the state folder cannot be written; the service goes on without')
    assert.deepEqual(more, [])
    assert.equal(warning.folder, folder)
    assert.equal(warning.reason, 'something that is no folder is in its way')
    assert.match(warning.mend, /move that away.*no restart.*image:/)
    const follows = warning.follows.join('\n')
    assert.match(follows, /cache.*next restart/)
    assert.match(follows, /CRI-O and cri-dockerd.*lose their names at the next restart/)
    assert.match(follows, /containerd.*name of a mirror/)
  }
})

test('a link to a disk that is not mounted is reported', async (t) => {
  const folder = join(temporaryFolder(t), 'state')
  await symlink('/nowhere/state', folder)

  const [[warning] = assert.fail('no warning')] = await warningsOf(folder)

  assert.equal(warning.reason, 'a link in its path leads nowhere')
  assert.match(warning.mend, /mount/)
})

test('a read-only file system is reported', async (t) => {
  const folder = await mountDisk(t, 'ro,size=64k')
  if (folder === undefined) return

  const [[warning] = assert.fail('no warning')] = await warningsOf(folder)

  assert.equal(warning.code, 'EROFS')
  assert.equal(warning.reason, 'its file system is read-only')
  assert.match(warning.mend, /writable/)
})

test('a full disk is reported, and nothing is left on it', async (t) => {
  const folder = await mountDisk(t, 'size=64k')
  if (folder === undefined) return
  await writeFile(join(folder, 'full'), Buffer.alloc(64 * 1024))

  const [[warning] = assert.fail('no warning')] = await warningsOf(folder)

  assert.equal(warning.code, 'ENOSPC')
  assert.equal(warning.reason, 'the disk is full')
  assert.deepEqual(await readdir(folder), ['full'])
})

test('a missing right is reported, and any other error in the words of the file system', async () => {
  const reasons = ['EACCES', 'EPERM', 'EDQUOT', 'EIO'].map(async (code) => {
    const thrown = Object.assign(new Error(`${code}: i/o`), { code })
    const [[warning] = assert.fail('no warning')] = await warningsOf('/state', async () => {
      throw thrown
    })
    return [warning.code, warning.reason]
  })

  assert.deepEqual(await Promise.all(reasons), [
    ['EACCES', 'this user has no right to write there'],
    ['EPERM', 'this user has no right to write there'],
    ['EDQUOT', 'the disk is full'],
    ['EIO', 'EIO: i/o'],
  ])
})
