import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ResolveResponse } from '../../api/v1/resolve.ts'
import { type Daemon, startDaemon } from '../support/daemon.ts'
import {
  type DockerRegistry,
  REGISTRY_USER,
  startDockerRegistry,
} from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { requireStack, temporaryFolder } from '../support/stack.ts'

const IMAGE = buildImage({ seed: 'one' })
const NEWER = buildImage({ seed: 'two' })
/** docker.io is never asked, whatever else happens. */
const CONFINED = { mirrorsOnly: ['docker.io'], cache: { tagTTL: '1h' } }
const LIMIT_MS = 60_000

interface Reply {
  readonly status: number
  readonly body: ResolveResponse & {
    readonly errors?: readonly { readonly code: string; readonly message: string }[]
  }
}

async function resolve(daemon: Daemon, query: string): Promise<Reply> {
  const url = new URL(`/resolve?platform=linux/amd64&${query}`, daemon.httpUrl())
  const response = await fetch(url)
  return { status: response.status, body: (await response.json()) as Reply['body'] }
}

async function startFilled(t: TestContext): Promise<DockerRegistry> {
  const registry = await startDockerRegistry(t)
  await pushImage(registry.url, 'library/app', '1', IMAGE)
  return registry
}

function snapshotOf(daemon: Daemon): string {
  return join(dirname(daemon.configFile), 'state', 'cache.ndjson')
}

function hangUp(daemon: Daemon): void {
  process.kill(daemon.program().pid, 'SIGHUP')
}

test('answers outlive an end by SIGTERM, and one by SIGKILL after that, with every registry down', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const daemon = await startDaemon(t, { config: { address: registry.url, ...CONFINED } })
  const before = await resolve(daemon, 'ref=app:1')
  await registry.stop()

  assert.equal(await daemon.stop(), 0)
  await daemon.start()
  await daemon.program().line(/cache restored/)
  const after = await resolve(daemon, 'ref=app:1')
  await daemon.kill()
  await daemon.start()
  await daemon.program().line(/cache restored/)
  const again = await resolve(daemon, 'ref=app:1')

  assert.deepEqual([before.body.source, before.body.imageId], ['registry', IMAGE.imageId])
  for (const { body } of [after, again]) {
    assert.deepEqual([body.source, body.imageId], ['cache', IMAGE.imageId])
    assert.equal(body.resolvedAt, before.body.resolvedAt)
  }
})

test('what was asked of other registries is not answered from a snapshot', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const other = await startDockerRegistry(t)
  await pushImage(other.url, 'library/app', '1', NEWER)
  const daemon = await startDaemon(t, { config: { address: registry.url, ...CONFINED } })
  await resolve(daemon, 'ref=app:1')
  await daemon.stop()

  daemon.configure({ address: other.url, ...CONFINED })
  await daemon.start()
  const { body } = await resolve(daemon, 'ref=app:1')

  assert.deepEqual([body.source, body.imageId], ['registry', NEWER.imageId])
})

test('a damaged snapshot is set aside with a warning, and the service serves', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const daemon = await startDaemon(t, { config: { address: registry.url, ...CONFINED } })
  await resolve(daemon, 'ref=app:1')
  await daemon.stop()
  const file = snapshotOf(daemon)
  const damaged = readFileSync(file, 'utf8').replace(IMAGE.imageId, NEWER.imageId)
  writeFileSync(file, damaged)

  await daemon.start()
  const [warning] = await daemon.program().line(/.*cache not restored.*/)
  const { body } = await resolve(daemon, 'ref=app:1')

  assert.equal(JSON.parse(warning).level, 'warn')
  assert.equal(readFileSync(`${file}.damaged`, 'utf8'), damaged)
  assert.ok(!existsSync(file))
  assert.deepEqual([body.source, body.imageId], ['registry', IMAGE.imageId])
})

test('a bad configuration at SIGHUP is told with file, line and field, and the old one stays in force', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const daemon = await startDaemon(t, {
    config: { address: registry.url, reloadInterval: 0, ...CONFINED },
  })

  daemon.configure({
    registries: [{ address: 'http://a.corp:5000', auth: 'no-colon', ca: 'x.pem' }],
  })
  hangUp(daemon)
  const [line] = await daemon.program().line(/.*configuration not reloaded.*/)
  const { body } = await resolve(daemon, 'ref=app:1&refresh=true')

  const { problems } = JSON.parse(line) as { readonly problems: readonly string[] }
  assert.ok(problems.every((problem) => problem.startsWith(`${daemon.configFile}:`)))
  assert.equal(problems.filter((problem) => problem.includes('registries[0].auth')).length, 1)
  assert.equal(problems.filter((problem) => problem.includes('registries[0].ca')).length, 1)
  assert.ok(!line.includes('no-colon'))
  assert.deepEqual([body.registry, body.imageId], [registry.host, IMAGE.imageId])
})

test('a good configuration at SIGHUP is in force at once, and nothing of the old one is answered', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const other = await startDockerRegistry(t)
  await pushImage(other.url, 'library/app', '1', NEWER)
  const fixed = { reloadInterval: 0, ...CONFINED }
  const daemon = await startDaemon(t, { config: { address: registry.url, ...fixed } })
  const before = await resolve(daemon, 'ref=app:1')

  daemon.configure({ address: other.url, ...fixed })
  hangUp(daemon)
  await daemon.program().line(/configuration reloaded/)
  const after = await resolve(daemon, 'ref=app:1')

  assert.deepEqual(
    [before, after].map(({ body }) => [body.registry, body.source, body.imageId]),
    [
      [registry.host, 'registry', IMAGE.imageId],
      [other.host, 'registry', NEWER.imageId],
    ],
  )
})

test('a passwordFile that changes is read again while the service runs', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startDockerRegistry(t, { auth: true })
  await pushImage(registry.url, 'library/app', '1', IMAGE, registry.headers)
  const passwordFile = join(temporaryFolder(t), 'password')
  const { password, username } = REGISTRY_USER
  const daemon = await startDaemon(t, {
    config: { registries: [{ address: registry.url, username, passwordFile }], ...CONFINED },
  })

  const until = async (expected: number): Promise<Reply> => {
    const limit = performance.now() + LIMIT_MS
    for (;;) {
      const reply = await resolve(daemon, 'ref=app:1&refresh=true')
      if (reply.status === expected || performance.now() > limit) return reply
    }
  }
  const seen: (string | undefined)[] = []
  for (const written of ['of-yesterday', password, 'of-tomorrow', password]) {
    writeFileSync(passwordFile, written)
    const { body } = await until(written === password ? 200 : 401)
    seen.push(body.errors?.[0]?.code ?? body.imageId)
  }

  assert.deepEqual(seen, ['UNAUTHORIZED', IMAGE.imageId, 'UNAUTHORIZED', IMAGE.imageId])
  assert.ok(!daemon.program().output().includes(password))
})

test('bad input is one clear error each, and the service goes on', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startFilled(t)
  const daemon = await startDaemon(t, { config: { address: registry.url, ...CONFINED } })
  const bad: Readonly<Record<string, readonly [number, RegExp]>> = {
    'ref=library/UPPER': [400, /write "library\/upper"/],
    'ref=app:1@sha256:abc': [400, /digest/],
    'ref=app:1&all=perhaps': [400, /'all' must be true or false/],
    'ref=app:none': [404, /library\/app:none/],
  }

  for (const [query, [expected, message]] of Object.entries(bad)) {
    const { body, status } = await resolve(daemon, query)
    assert.deepEqual([status, body.errors?.length], [expected, 1], query)
    assert.match(body.errors?.[0]?.message ?? '', message)
  }

  assert.equal((await resolve(daemon, 'ref=app:1')).body.imageId, IMAGE.imageId)
})
