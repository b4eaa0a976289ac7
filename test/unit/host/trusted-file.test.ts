import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import {
  chmod,
  chown,
  constants,
  mkdir,
  readFile,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { openTrustedFile, openTrustedFileSync } from '../../../src/host/trusted-file.ts'
import { skipLacking, temporaryFolder } from '../../support/stack.ts'

const run = promisify(execFile)
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT
const NOBODY = 65_534

/** Opened in each way; what is open is closed again. */
async function refusals(path: string): Promise<readonly unknown[]> {
  const reason = (error: Error) => [error.name, error.message]
  const opened = openTrustedFile(path).then((file) => file?.close(), reason)
  const sync = (() => {
    try {
      return openTrustedFileSync(path)
    } catch (error) {
      return reason(error as Error)
    }
  })()
  return [await opened, sync]
}

async function file(t: TestContext): Promise<string> {
  const path = join(temporaryFolder(t), 'file')
  await writeFile(path, 'text', { mode: 0o600 })
  return path
}

test('a file of ours is read', async (t) => {
  const path = await file(t)

  const opened = await openTrustedFile(path)

  assert.equal(await opened?.readFile('utf8'), 'text')
  await opened?.close()
})

test('no file, and no folder for one, is no failure', async (t) => {
  const path = await file(t)

  assert.deepEqual(await refusals(join(path, '..', 'gone')), [undefined, undefined])
  assert.deepEqual(await refusals(join(path, 'below-a-file')), [undefined, undefined])
})

test('a link, a pipe and a folder are refused', async (t) => {
  const path = await file(t)
  const at = (name: string): string => join(path, '..', name)
  await symlink(path, at('link'))
  await run('mkfifo', [at('pipe')])
  await mkdir(at('folder'))

  const link = ['ForeignFileError', 'it is a symbolic link']
  assert.deepEqual(await refusals(at('link')), [link, link])
  const other = ['ForeignFileError', 'it is not a file']
  assert.deepEqual(await refusals(at('pipe')), [other, other])
  assert.deepEqual(await refusals(at('folder')), [other, other])
})

test('a file that others may write is refused', async (t) => {
  const path = await file(t)
  const refused = ['ForeignFileError', 'others than this user may write it']

  for (const mode of [0o620, 0o602]) {
    await chmod(path, mode)
    assert.deepEqual(await refusals(path), [refused, refused])
  }
})

test("a stranger's file is refused", async (t) => {
  if (process.getuid?.() !== 0) return skipLacking(t, 'giving a file away takes root')
  const path = await file(t)
  await chown(path, NOBODY, NOBODY)

  const refused = ['ForeignFileError', 'others than this user may write it']
  assert.deepEqual(await refusals(path), [refused, refused])
})

test('a file that is made is for its owner alone, and nothing is written through a link', async (t) => {
  const path = await file(t)
  const made = join(path, '..', 'made')
  const link = join(path, '..', 'link')
  await symlink(path, link)

  const opened = await openTrustedFile(made, APPEND)
  await opened?.close()
  await assert.rejects(openTrustedFile(link, APPEND), { name: 'ForeignFileError' })

  assert.equal((await stat(made)).mode & 0o777, 0o600)
  assert.equal(await readFile(path, 'utf8'), 'text')
})

test('a file that was to be made and has no folder is a failure', async (t) => {
  const path = join(temporaryFolder(t), 'gone', 'file')

  await assert.rejects(openTrustedFile(path, APPEND), { code: 'ENOENT' })
})
