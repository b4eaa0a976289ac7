import assert from 'node:assert/strict'
import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { PemFiles } from '../../../../src/registry/transport/tls.ts'
import { temporaryFolder } from '../../../support/stack.ts'

test('a file that did not change is the same, and not read again', async (t) => {
  const path = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(path, 'one')
  const files = new PemFiles()
  const first = await files.read(path)

  assert.equal(first.text, 'one')
  assert.equal(await files.read(path), first)
})

test('a file that is replaced is read again', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'ca.pem')
  writeFileSync(path, 'one')
  const files = new PemFiles()
  const first = await files.read(path)

  writeFileSync(join(folder, 'new.pem'), 'two')
  renameSync(join(folder, 'new.pem'), path)
  const second = await files.read(path)

  assert.equal(second.text, 'two')
  assert.notEqual(second.version, first.version)
})

test('a file behind a symbolic link that moves is read again, as Kubernetes renews secrets', async (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'old'), 'one')
  writeFileSync(join(folder, 'new'), 'two')
  symlinkSync('old', join(folder, 'ca.pem'))
  const files = new PemFiles()
  await files.read(join(folder, 'ca.pem'))

  symlinkSync('new', join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, 'ca.pem'))

  assert.equal((await files.read(join(folder, 'ca.pem'))).text, 'two')
})

test('a file of more than 1 MiB, and what is no file, are refused', async (t) => {
  const path = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(path, Buffer.alloc(1024 * 1024 + 1))
  const files = new PemFiles()

  await assert.rejects(files.read(path), { message: 'it is larger than 1 MiB' })
  await assert.rejects(files.read('/dev/zero'), { message: 'it is no file' })
})

test('a file that is not there is an error, and read once it is', async (t) => {
  const path = join(temporaryFolder(t), 'ca.pem')
  const files = new PemFiles()
  await assert.rejects(files.read(path), { code: 'ENOENT' })

  writeFileSync(path, 'one')

  assert.equal((await files.read(path)).text, 'one')
})
