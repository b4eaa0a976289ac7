import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import {
  chmod,
  mkdir,
  readdir,
  readFile,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { loadSnapshot, saveSnapshot } from '../../../../src/resolver/cache/snapshot.ts'
import type { SnapshotContent } from '../../../../src/resolver/cache/snapshot-lines.ts'
import { contentOf, scopeOf } from '../../../support/cache.ts'
import { mountDisk } from '../../../support/small-disk.ts'
import { temporaryFolder } from '../../../support/stack.ts'

const run = promisify(execFile)
const scope = scopeOf()

/** A whole snapshot of ten answers. */
async function saved(t: TestContext): Promise<string> {
  const file = join(temporaryFolder(t), 'cache.ndjson')
  await saveSnapshot(contentOf(10), { file, scope })
  return file
}

async function tagsIn(file: string): Promise<readonly string[]> {
  const loaded = await loadSnapshot({ file, scope })
  assert.equal(loaded.state, 'whole')
  return loaded.content.where.map(([, { reference }]) => reference)
}

function tagsOf({ where }: SnapshotContent): readonly string[] {
  return where.map(([, { reference }]) => reference)
}

test('what was saved is loaded', async (t) => {
  const file = await saved(t)

  const loaded = await loadSnapshot({ file, scope })

  assert.deepEqual(loaded, { state: 'whole', content: contentOf(10) })
})

test('an empty cache is a whole snapshot too', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')

  await saveSnapshot(contentOf(0), { file, scope })

  assert.deepEqual(await loadSnapshot({ file, scope }), { state: 'whole', content: contentOf(0) })
})

test('only its owner may read it, and no other file is left', async (t) => {
  const file = join(temporaryFolder(t), 'made', 'cache.ndjson')

  await saveSnapshot(contentOf(10), { file, scope })

  assert.equal((await stat(file)).mode & 0o777, 0o600)
  assert.equal((await stat(join(file, '..'))).mode & 0o777, 0o700)
  assert.deepEqual(await readdir(join(file, '..')), ['cache.ndjson'])
})

test('where there is none nothing is loaded', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')

  assert.deepEqual(await loadSnapshot({ file, scope }), { state: 'absent' })
})

test('a snapshot that ends early anywhere is damaged', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file)

  for (let size = whole.length - 1; size >= 0; size -= 97) {
    await truncate(file, size)
    assert.equal((await loadSnapshot({ file, scope })).state, 'damaged', `${size} bytes`)
  }
})

test('a snapshot with another byte anywhere is damaged', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file)

  for (let at = 0; at < whole.length; at += 89) {
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await writeFile(file, bytes)
    assert.equal((await loadSnapshot({ file, scope })).state, 'damaged', `byte ${at}`)
  }
})

test('what was appended to a snapshot makes it a damaged one', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file, 'utf8')

  for (const more of ['\n', 'x', '{}\n', whole]) {
    await writeFile(file, whole + more)
    assert.equal((await loadSnapshot({ file, scope })).state, 'damaged')
  }
})

test('a foreign file or version is told apart', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file, 'utf8')
  const reasonFor = async (text: string): Promise<string> => {
    await writeFile(file, text)
    const loaded = await loadSnapshot({ file, scope })
    return loaded.state === 'damaged' ? loaded.reason : loaded.state
  }

  assert.equal(await reasonFor(whole.replace('"version":1', '"version":2')), 'it has the version 2')
  assert.equal(await reasonFor('[]\n[]\n'), 'it is not a snapshot')
  assert.equal(await reasonFor(''), 'it has no end')
  assert.equal(await reasonFor('x'.repeat(3_000_000)), 'it has no end')
})

test('a snapshot that others may write is not believed', async (t) => {
  const file = await saved(t)
  await chmod(file, 0o620)

  const loaded = await loadSnapshot({ file, scope })

  assert.deepEqual(loaded, { state: 'damaged', reason: 'others than this user may write it' })
})

test('what is no file is not read', async (t) => {
  const path = temporaryFolder(t)
  const pipe = join(path, 'pipe')
  await run('mkfifo', [pipe])
  await mkdir(join(path, 'folder'))
  await symlink('elsewhere', join(path, 'link'))

  const notAFile = { state: 'damaged', reason: 'it is not a file' }
  const aLink = { state: 'damaged', reason: 'it is a symbolic link' }
  assert.deepEqual(await loadSnapshot({ file: pipe, scope }), notAFile)
  assert.deepEqual(await loadSnapshot({ file: join(path, 'folder'), scope }), notAFile)
  assert.deepEqual(await loadSnapshot({ file: join(path, 'link'), scope }), aLink)
})

test('no more is written than may be read, the most recently used first', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')
  const place = { file, scope, maxBytes: 4_000 }

  await saveSnapshot(contentOf(10), place)

  const { size } = await stat(file)
  const tags = await tagsIn(file)
  assert.ok(size <= 4_000 && size > 3_000, `${size} bytes`)
  assert.ok(tags.length > 1)
  assert.deepEqual(tags, tagsOf(contentOf(10)).slice(0, tags.length))
  const tooLong = await loadSnapshot({ ...place, maxBytes: size - 1 })
  assert.deepEqual(tooLong, { state: 'damaged', reason: `it is longer than ${size - 1} bytes` })
})

test('of writers at the same time one wins, with all it wrote', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')
  const contents = ['a', 'b', 'c', 'd'].map((mark) => contentOf(300, mark))

  await Promise.all(contents.map((content) => saveSnapshot(content, { file, scope })))

  const tags = await tagsIn(file)
  const winners = contents.filter((content) => tagsOf(content).join() === tags.join())
  assert.equal(winners.length, 1)
  assert.deepEqual(await readdir(join(file, '..')), ['cache.ndjson'])
})

test('a process that is killed while it writes leaves the former snapshot', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')
  await saveSnapshot(contentOf(100, 'former'), { file, scope })

  const writer = fileURLToPath(new URL('../../../support/killed-writer.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', writer, file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const signal = await new Promise((resolve) => child.once('exit', (_code, name) => resolve(name)))

  assert.equal(signal, 'SIGKILL')
  const names = await readdir(join(file, '..'))
  const [leftover = ''] = names.filter((name) => name.endsWith('.tmp'))
  assert.ok((await stat(join(file, '..', leftover))).size > 100_000, names.join())
  assert.deepEqual(await tagsIn(file), tagsOf(contentOf(100, 'former')))
})

test('on a full disk the former snapshot stays, and nothing else', async (t) => {
  const path = await mountDisk(t, 'size=256k')
  if (path === undefined) return
  const file = join(path, 'cache.ndjson')
  await saveSnapshot(contentOf(10, 'former'), { file, scope })

  await assert.rejects(saveSnapshot(contentOf(1_000), { file, scope }), { code: 'ENOSPC' })

  assert.deepEqual(await readdir(path), ['cache.ndjson'])
  assert.deepEqual(await tagsIn(file), tagsOf(contentOf(10, 'former')))
})

test('where no folder can be the file system says so', async (t) => {
  const path = temporaryFolder(t)
  await writeFile(join(path, 'file'), '')

  const file = join(path, 'file', 'cache.ndjson')

  await assert.rejects(saveSnapshot(contentOf(1), { file, scope }), { code: 'EEXIST' })
})
