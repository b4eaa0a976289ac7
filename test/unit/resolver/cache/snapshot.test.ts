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
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { credentialsFingerprint } from '../../../../src/registry/credentials.ts'
import { ResolutionCache } from '../../../../src/resolver/cache/cache.ts'
import {
  CacheSnapshot,
  type CacheSnapshotOptions,
  loadSnapshot,
  saveSnapshot,
} from '../../../../src/resolver/cache/snapshot.ts'
import type { SnapshotContent } from '../../../../src/resolver/cache/snapshot-lines.ts'
import { Resolver } from '../../../../src/resolver/resolver.ts'
import { contentOf, learnTag, scopeOf } from '../../../support/cache.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import {
  AMD64,
  entry,
  FakeHealth,
  FakeSource,
  identity,
  nginx,
  registriesOf,
} from '../../../support/resolver.ts'
import { mountDisk } from '../../../support/small-disk.ts'
import { temporaryFolder } from '../../../support/stack.ts'

interface Line {
  readonly level: 'info' | 'warn'
  readonly fields: Record<string, unknown>
  readonly message: string
}

const INTERVAL_MS = 300_000

/** One run of the service on that folder. */
function runOn(folder: string, more: Partial<CacheSnapshotOptions> = {}) {
  const clock = new FakeClock()
  const lines: Line[] = []
  const log = (level: Line['level']) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...fields }, message })
  }
  const cache = new ResolutionCache({ size: 1_000, tagTtlMs: 60_000, keepMs: 86_400_000 }, () =>
    clock.now(),
  )
  const snapshot = new CacheSnapshot({
    cache,
    folder,
    scope: () => scopeOf(),
    clock,
    logger: { info: log('info'), warn: log('warn') } as unknown as CacheSnapshotOptions['logger'],
    ...more,
  })
  const messages = (): readonly string[] => lines.map(({ message }) => message)
  return { cache, clock, snapshot, lines, messages, learn: () => learnTag(cache, clock.now()) }
}

/** Waits for what the file system does meanwhile. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate)
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

test('what one run learned the next one knows', async (t) => {
  const folder = temporaryFolder(t)
  const first = runOn(folder)
  const key = first.learn()
  const known = first.cache.resolution(key)
  await first.snapshot.close()
  const second = runOn(folder)

  await second.snapshot.restore()

  assert.ok(known)
  assert.deepEqual(second.cache.resolution(key), known)
  assert.deepEqual(second.lines, [
    {
      level: 'info',
      fields: { file: join(folder, 'cache.ndjson'), answers: 1, digests: 1 },
      message: 'cache restored',
    },
  ])
})

test('what the resolver learned for callers without credentials comes back, and nothing else', async (t) => {
  const folder = temporaryFolder(t)
  const first = runOn(folder)
  const source = new FakeSource({ m1: async () => identity('nginx') })
  const resolver = new Resolver({
    source,
    registries: () => registriesOf([entry('m1')]),
    health: new FakeHealth(),
    cache: first.cache,
    clock: first.clock,
    platform: AMD64,
    limits: () => ({ hedgeDelayMs: 300, probeBudgetMs: 2_000, totalMs: 20_000 }),
    fingerprint: credentialsFingerprint,
  })
  const credentials = { kind: 'basic', username: 'pod', password: 'hunter2' } as const
  await resolver.resolve(nginx({ tag: 'open' }))
  await resolver.resolve(nginx({ tag: 'secret' }), { credentials })
  await first.snapshot.close()
  const second = runOn(folder)

  await second.snapshot.restore()

  const kept = [...second.cache.content().where].map(([, { reference }]) => reference)
  assert.deepEqual(kept, ['docker.io/library/nginx:open'])
  const text = await readFile(join(folder, 'cache.ndjson'), 'utf8')
  assert.doesNotMatch(text, /secret|pod|hunter2/)
})

test('thousands of answers come back in the order of their use', async (t) => {
  const folder = temporaryFolder(t)
  const first = runOn(folder)
  for (let index = 0; index < 1_200; index += 1)
    learnTag(first.cache, first.clock.now(), `${index}`)
  await first.snapshot.close()
  const second = runOn(folder)

  await second.snapshot.restore()

  const keysOf = ({ cache }: { readonly cache: ResolutionCache }): readonly string[] =>
    [...cache.content().where].map(([key]) => key)
  assert.equal(keysOf(second).length, 1_000)
  assert.deepEqual(keysOf(second), keysOf(first))
})

test('under another configuration it is not known where a tag leads', async (t) => {
  const folder = temporaryFolder(t)
  const first = runOn(folder)
  first.learn()
  await first.snapshot.close()
  const second = runOn(folder, { scope: () => scopeOf('two') })

  await second.snapshot.restore()

  assert.deepEqual(second.cache.counts().entries, { where: 0, what: 1, negative: 0 })
})

test('the first run restores nothing and says nothing', async (t) => {
  const { cache, snapshot, lines } = runOn(join(temporaryFolder(t), 'missing'))

  await snapshot.restore()

  assert.deepEqual(lines, [])
  assert.equal(cache.counts().entries.where, 0)
})

test('what is new is saved at intervals', async (t) => {
  const folder = temporaryFolder(t)
  const { clock, snapshot, learn } = runOn(folder)
  snapshot.start()
  t.after(() => snapshot.close())

  await clock.advance(INTERVAL_MS)
  assert.deepEqual(await readdir(folder), [])
  learn()
  await clock.advance(INTERVAL_MS)

  await until(() => isThere(join(folder, 'cache.ndjson')))
})

test('where nothing is new nothing is written', async (t) => {
  const folder = temporaryFolder(t)
  const first = runOn(folder)
  first.learn()
  await first.snapshot.close()
  const file = join(folder, 'cache.ndjson')
  const { ino } = await stat(file)
  const second = runOn(folder)
  await second.snapshot.restore()

  await second.snapshot.close()

  assert.equal((await stat(file)).ino, ino)
})

test('closing leaves no timer', async (t) => {
  const { clock, snapshot, learn } = runOn(temporaryFolder(t))
  snapshot.start()
  learn()

  await snapshot.close()

  assert.equal(clock.pendingTimers, 0)
})

test('what came while a snapshot was being written is in the last one', async (t) => {
  const folder = temporaryFolder(t)
  const { cache, clock, snapshot, learn } = runOn(folder)
  snapshot.start()
  learn()
  await clock.advance(INTERVAL_MS)
  const late = learnTag(cache, clock.now(), 'late')

  await snapshot.close()

  const next = runOn(folder)
  await next.snapshot.restore()
  assert.ok(next.cache.resolution(late))
})

test('a damaged snapshot is set aside with a warning, one only', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'cache.ndjson')
  await writeFile(`${file}.damaged`, 'an older one')
  await writeFile(file, 'garbage')
  const { cache, snapshot, lines } = runOn(folder)

  await snapshot.restore()

  assert.deepEqual(lines, [
    {
      level: 'warn',
      fields: { file, reason: 'it has no end', setAside: true },
      message: 'cache not restored',
    },
  ])
  assert.deepEqual(await readdir(folder), ['cache.ndjson.damaged'])
  assert.equal(await readFile(`${file}.damaged`, 'utf8'), 'garbage')
  assert.equal(cache.counts().entries.what, 0)
})

test('a link in its place is not followed, but set aside', async (t) => {
  const folder = temporaryFolder(t)
  await symlink(join(folder, 'elsewhere'), join(folder, 'cache.ndjson'))
  const { snapshot, lines } = runOn(folder)

  await snapshot.restore()

  assert.equal(lines[0]?.message, 'cache not restored')
  assert.match(String(lines[0]?.fields['reason']), /it is a symbolic link/)
  assert.deepEqual(await readdir(folder), ['cache.ndjson.damaged'])
})

test('a folder in its place is a warning, and the service goes on', async (t) => {
  const folder = temporaryFolder(t)
  await mkdir(join(folder, 'cache.ndjson', 'inside'), { recursive: true })
  await writeFile(join(folder, 'cache.ndjson.damaged'), '')
  const { snapshot, learn, messages } = runOn(folder)

  await snapshot.restore()
  learn()
  await snapshot.close()

  assert.deepEqual(messages(), ['cache not restored', 'cache not saved'])
})

test('a full disk is logged once, and again after a save', async (t) => {
  const folder = temporaryFolder(t)
  let full = true
  let tried = 0
  const { clock, snapshot, learn, lines } = runOn(folder, {
    save: async () => {
      tried += 1
      if (full) throw new Error('ENOSPC: no space left on device')
    },
  })
  snapshot.start()
  t.after(() => snapshot.close())
  const passIntervals = async (count: number): Promise<void> => {
    for (let passed = 0; passed < count; passed += 1) {
      learn()
      await clock.advance(INTERVAL_MS)
    }
  }

  await passIntervals(2)
  full = false
  await passIntervals(2)
  full = true
  await passIntervals(2)

  const line = {
    level: 'warn',
    fields: { file: join(folder, 'cache.ndjson'), reason: 'ENOSPC: no space left on device' },
    message: 'cache not saved',
  }
  assert.equal(tried, 6)
  assert.deepEqual(lines, [line, line])
})

test('what could not be saved is saved at the next interval, though nothing new came', async (t) => {
  let tried = 0
  const { clock, snapshot, learn } = runOn(temporaryFolder(t), {
    save: async () => {
      tried += 1
      if (tried === 1) throw new Error('EIO')
    },
  })
  snapshot.start()
  t.after(() => snapshot.close())
  learn()

  await clock.advance(3 * INTERVAL_MS)

  assert.equal(tried, 2)
})

test('a disk that hangs does not keep the service from ending', async (t) => {
  const { clock, snapshot, learn } = runOn(temporaryFolder(t), {
    save: () => new Promise(() => {}),
  })
  learn()
  let closed = false

  const closing = snapshot.close().then(() => {
    closed = true
  })
  await clock.advance(4_999)
  assert.ok(!closed)
  await clock.advance(1)

  await closing
})

test('what a killed process left half-written is removed when it is old', async (t) => {
  const folder = temporaryFolder(t)
  const { clock, snapshot } = runOn(folder)
  for (const name of ['cache.ndjson.old.tmp', 'cache.ndjson.young.tmp', 'another.tmp']) {
    await writeFile(join(folder, name), '')
  }
  const seconds = clock.now() / 1_000
  await utimes(join(folder, 'cache.ndjson.old.tmp'), seconds - 601, seconds - 601)
  await utimes(join(folder, 'cache.ndjson.young.tmp'), seconds - 599, seconds - 599)
  await utimes(join(folder, 'another.tmp'), 0, 0)

  await snapshot.restore()

  assert.deepEqual((await readdir(folder)).sort(), ['another.tmp', 'cache.ndjson.young.tmp'])
})

const run = promisify(execFile)
const scope = scopeOf()

/** A whole snapshot of ten answers. */
async function saved(t: TestContext): Promise<string> {
  const file = join(temporaryFolder(t), 'cache.ndjson')
  await saveSnapshot(contentOf(10), { file, scope })
  return file
}

async function tagsIn(file: string): Promise<readonly string[]> {
  const content = await loadSnapshot({ file, scope })
  return tagsOf(content ?? contentOf(0))
}

/** Why a file is not loaded. */
async function reasonAgainst(file: string, maxBytes?: number): Promise<string> {
  const place = { file, scope, ...(maxBytes !== undefined && { maxBytes }) }
  const thrown = await loadSnapshot(place).then(
    () => assert.fail('it was loaded'),
    (error: Error) => error,
  )
  return thrown.message
}

function tagsOf({ where }: SnapshotContent): readonly string[] {
  return where.map(([, { reference }]) => reference)
}

test('what was saved is loaded', async (t) => {
  const file = await saved(t)

  const loaded = await loadSnapshot({ file, scope })

  assert.deepEqual(loaded, contentOf(10))
})

test('an empty cache is a whole snapshot too', async (t) => {
  const file = join(temporaryFolder(t), 'cache.ndjson')

  await saveSnapshot(contentOf(0), { file, scope })

  assert.deepEqual(await loadSnapshot({ file, scope }), contentOf(0))
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

  assert.equal(await loadSnapshot({ file, scope }), undefined)
})

test('a snapshot that ends early anywhere is damaged', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file)

  for (let size = whole.length - 1; size >= 0; size -= 97) {
    await truncate(file, size)
    await assert.rejects(loadSnapshot({ file, scope }), `${size} bytes`)
  }
})

test('a snapshot with another byte anywhere is damaged', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file)

  for (let at = 0; at < whole.length; at += 89) {
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    await writeFile(file, bytes)
    await assert.rejects(loadSnapshot({ file, scope }), `byte ${at}`)
  }
})

test('what was appended to a snapshot makes it a damaged one', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file, 'utf8')

  for (const more of ['\n', 'x', '{}\n', whole]) {
    await writeFile(file, whole + more)
    await assert.rejects(loadSnapshot({ file, scope }))
  }
})

test('a foreign file or version is recognised', async (t) => {
  const file = await saved(t)
  const whole = await readFile(file, 'utf8')
  const reasonFor = async (text: string): Promise<string> => {
    await writeFile(file, text)
    return reasonAgainst(file)
  }

  assert.equal(await reasonFor(whole.replace('"version":1', '"version":2')), 'it has the version 2')
  assert.equal(await reasonFor('[]\n[]\n'), 'it is not a snapshot')
  assert.equal(await reasonFor(''), 'it has no end')
  assert.equal(await reasonFor('x'.repeat(3_000_000)), 'it has no end')
})

test('a snapshot that others may write is not believed', async (t) => {
  const file = await saved(t)
  await chmod(file, 0o620)

  assert.equal(await reasonAgainst(file), 'others than this user may write it')
})

test('what is no file is not read', async (t) => {
  const path = temporaryFolder(t)
  const pipe = join(path, 'pipe')
  await run('mkfifo', [pipe])
  await mkdir(join(path, 'folder'))
  await symlink('elsewhere', join(path, 'link'))

  assert.equal(await reasonAgainst(pipe), 'it is not a file')
  assert.equal(await reasonAgainst(join(path, 'folder')), 'it is not a file')
  assert.equal(await reasonAgainst(join(path, 'link')), 'it is a symbolic link')
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
  assert.equal(await reasonAgainst(file, size - 1), `it is longer than ${size - 1} bytes`)
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
