import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { findConfigFile, readConfigFile, socketExists } from '../../../src/config/files.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'config-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

function tells(message: RegExp): (thrown: unknown) => boolean {
  return (thrown) => thrown instanceof ConfigError && message.test(thrown.message)
}

test('a named file is taken without looking, there or not', async () => {
  const file = await findConfigFile('/x/y.yaml', () => assert.fail('nothing is to be looked at'))

  assert.equal(file, '/x/y.yaml')
})

test("our own file is found before image-cri-shim's, and none is no mistake", async () => {
  const ours = '/etc/image-resolver.yaml'
  const theirs = '/etc/image-cri-shim.yaml'
  const withFiles = (...there: readonly string[]) =>
    findConfigFile(undefined, async (path) => there.includes(path))

  assert.equal(await withFiles(theirs, ours), ours)
  assert.equal(await withFiles(theirs), theirs)
  assert.equal(await withFiles(), undefined)
})

test('a file is read as it is, up to 1 MiB', async (t) => {
  const file = join(await folder(t), 'a.yaml')
  await writeFile(file, `# ${'é'.repeat((1024 * 1024 - 2) / 2)}`)

  const text = await readConfigFile(file)

  assert.equal(Buffer.byteLength(text), 1024 * 1024)
})

test('a link to a file is read, and /dev/null is an empty file', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, 'a.yaml'), 'debug: true\n')
  await symlink('a.yaml', join(path, 'b.yaml'))

  assert.equal(await readConfigFile(join(path, 'b.yaml')), 'debug: true\n')
  assert.equal(await readConfigFile('/dev/null'), '')
})

test('a file that cannot be used is a configuration error that says why', async (t) => {
  const path = await folder(t)
  await writeFile(join(path, 'big.yaml'), Buffer.alloc(1024 * 1024 + 1, 0x23))
  await writeFile(join(path, 'bytes.yaml'), Buffer.from([0x61, 0x3a, 0x20, 0xff]))
  await promisify(execFile)('mkfifo', [join(path, 'pipe')])

  await assert.rejects(readConfigFile(join(path, 'gone')), tells(/gone: there is no such file/))
  await assert.rejects(readConfigFile(path), tells(/: cannot be read: not a regular file/))
  await assert.rejects(readConfigFile(join(path, 'pipe')), tells(/not a regular file/))
  await assert.rejects(readConfigFile(join(path, 'big.yaml')), tells(/larger than 1 MiB/))
  await assert.rejects(readConfigFile(join(path, 'bytes.yaml')), tells(/not UTF-8 text/))
  await assert.rejects(readConfigFile('/dev/zero'), tells(/larger than 1 MiB/))
})

test('a socket is there when a socket is, not when a file is', async (t) => {
  const path = await folder(t)
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(join(path, 's'), resolve))
  t.after(() => server.close())
  await writeFile(join(path, 'f'), '')

  assert.equal(socketExists(join(path, 's')), true)
  assert.equal(socketExists(join(path, 'f')), false)
  assert.equal(socketExists(join(path, 'gone')), false)
})
