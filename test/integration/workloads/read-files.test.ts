import assert from 'node:assert/strict'
import {
  chownSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { readFiles, type WorkloadFile, writeNew } from '../../../src/workloads/read-files.ts'
import { startProgram } from '../../support/program.ts'
import { mountDisk, remountDisk } from '../../support/small-disk.ts'
import { temporaryFolder } from '../../support/stack.ts'

async function readAll(names: readonly string[], stdin: Readable = Readable.from([])) {
  const files: WorkloadFile[] = []
  for await (const file of readFiles(names, stdin)) files.push(file)
  return files
}

async function only(name: string): Promise<WorkloadFile> {
  const [file, ...others] = await readAll([name])
  assert.deepEqual(others, [])
  return file ?? assert.fail()
}

function refuses(t: TestContext, name: string, message: RegExp): Promise<void> {
  return assert.rejects(readAll([name]), (error: Error & { code: string }) => {
    assert.equal(error.code, 'CONFIG_INVALID')
    assert.ok(error.message.startsWith(name), error.message)
    t.diagnostic(error.message)
    return message.test(error.message)
  })
}

test('a full or a read-only disk leaves a file as it was, and nothing beside it', async (t) => {
  const disk = await mountDisk(t, 'size=64k')
  if (disk === undefined) return
  const path = join(disk, 'pod.yaml')
  writeFileSync(path, 'a: 1\n')
  const file = await only(path)
  const lock = join(disk, 'lock.yaml')

  await assert.rejects(
    file.replace('x'.repeat(128 * 1024)),
    /and is left as it is: the disk is full/,
  )
  await assert.rejects(writeNew(lock, 'x'.repeat(128 * 1024)), /lock\.yaml .*the disk is full/)
  assert.deepEqual(readdirSync(disk), ['pod.yaml'])
  await remountDisk(disk, 'ro')
  await assert.rejects(file.replace('a: 2\n'), /left as it is: the file system is read-only/)

  assert.equal(readFileSync(path, 'utf8'), 'a: 1\n')
})

test('a file keeps mode, owner and the links that lead to it; another hard link keeps the old text', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'pod.yaml')
  const [hard, link] = [join(folder, 'hard.yaml'), join(folder, 'link.yaml')]
  writeFileSync(path, 'a: 1\n', { mode: 0o604 })
  if (process.getuid?.() === 0) chownSync(path, 12_345, 23_456)
  linkSync(path, hard)
  symlinkSync('pod.yaml', link)
  const before = statSync(path)

  await (await only(link)).replace('a: 2\n')

  const after = statSync(path)
  assert.deepEqual([after.mode, after.uid, after.gid], [before.mode, before.uid, before.gid])
  assert.deepEqual(
    [path, link, hard].map((name) => readFileSync(name, 'utf8')),
    ['a: 2\n', 'a: 2\n', 'a: 1\n'],
  )
})

test('what a run left that was killed while it wrote is removed by the next one, and nothing else', async (t) => {
  const folder = temporaryFolder(t)
  const [path, lock] = [join(folder, 'Dockerfile'), join(folder, 'lock.yaml')]
  writeFileSync(path, 'FROM a:1\n')
  const id = '00000000-0000-4000-8000-000000000000'
  const left = [`.Dockerfile.${id}.new`, `.lock.yaml.${id}.new`]
  const others = [`.Dockerfile2.${id}.new`, '.Dockerfile.new', '.Dockerfile.mine.new']
  for (const name of [...left, ...others]) writeFileSync(join(folder, name), 'FROM b:1\n')

  const [file, ...more] = await readAll([folder])
  assert.deepEqual([file?.name, more], [path, []])
  await file?.replace('FROM a:2\n')
  await writeNew(lock, 'a: 1\n')

  assert.deepEqual(readdirSync(folder).sort(), ['Dockerfile', 'lock.yaml', ...others].sort())
})

test('a file that was changed after it was read is not written', async (t) => {
  const path = join(temporaryFolder(t), 'pod.yaml')
  writeFileSync(path, 'a: 1\n')
  const file = await only(path)
  rmSync(path)
  writeFileSync(path, 'b: 1\n')
  await assert.rejects(file.replace('a: 2\n'), /was changed meanwhile, and is left as it is/)
  assert.equal(readFileSync(path, 'utf8'), 'b: 1\n')
})

test('a file that is named twice, by a link or with its folder, is read once', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'pod.yaml')
  writeFileSync(path, 'a: 1\n')
  symlinkSync('pod.yaml', join(folder, 'link.yaml'))
  const files = await readAll([path, join(folder, 'link.yaml'), folder, `${folder}/./pod.yaml`])
  assert.deepEqual(
    files.map(({ name }) => name),
    [path],
  )
})

test('folders of package managers and links out of a folder are passed over, also those that lead in a circle', async (t) => {
  const folder = temporaryFolder(t)
  mkdirSync(join(folder, 'node_modules', 'a'), { recursive: true })
  mkdirSync(join(folder, 'sub'))
  writeFileSync(join(folder, 'node_modules', 'a', 'a.yaml'), 'a: 1\n')
  writeFileSync(join(folder, 'sub', 'b.yaml'), 'b: 1\n')
  symlinkSync('..', join(folder, 'sub', 'up'))
  const files = await readAll([folder])
  assert.deepEqual(
    files.map(({ name }) => name),
    [join(folder, 'sub', 'b.yaml')],
  )
})

test('what cannot be read is named, with what is wrong', async (t) => {
  const folder = temporaryFolder(t)
  const [loop, large, empty] = ['loop.yaml', 'large.yaml', 'empty'].map((name) =>
    join(folder, name),
  )
  symlinkSync('loop.yaml', loop ?? '')
  writeFileSync(large ?? '', '')
  truncateSync(large ?? '', 100 * 1024 * 1024)
  mkdirSync(empty ?? '')
  await refuses(t, loop ?? '', /is a symbolic link that leads back to itself$/)
  await refuses(t, large ?? '', /is larger than 64 MiB/)
  await refuses(t, empty ?? '', /has no file to read: of a folder YAML and Dockerfiles are read/)
  await refuses(t, '/dev/null', /is neither a file nor a folder/)
  await refuses(t, join(folder, 'none'), /is not there$/)
})

test('standard input and pipes are read to their end, and no more than 64 MiB of them', async (t) => {
  const [file] = await readAll(['-'], Readable.from(['a: ', Buffer.from('1\n')]))
  assert.equal(file?.text, 'a: 1\n')
  await assert.rejects(
    file?.replace('') ?? Promise.resolve(),
    /^ResolveError: standard input cannot/,
  )
  let chunks = 0
  const endless = Readable.from(
    (function* () {
      for (;;) {
        chunks += 1
        yield Buffer.alloc(1024 * 1024)
      }
    })(),
  )
  await assert.rejects(readAll(['-'], endless), /standard input is larger than 64 MiB/)
  assert.ok(chunks < 100, `${chunks}`)

  const pipe = join(temporaryFolder(t), 'pipe')
  const program = startProgram('sh', ['-c', `mkfifo ${pipe} && echo made && echo 'b: 1' > ${pipe}`])
  await program.line(/made/)
  const [piped] = await readAll([pipe])
  await program.ended()
  assert.deepEqual([piped?.name, piped?.text], [pipe, 'b: 1\n'])
})
