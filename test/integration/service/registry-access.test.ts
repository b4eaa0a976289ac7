import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump } from 'js-yaml'
import { ResolveError } from '../../../src/errors.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { openRegistries, readStats } from '../../../src/service/open.ts'
import { openApp, someRegistries } from '../../support/http-app.ts'
import { received, startServer } from '../../support/http-server.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A configuration with one registry, which lists two repositories and wants its own credentials. */
async function scene(t: TestContext) {
  const folder = temporaryFolder(t)
  const listen = `unix://${join(folder, 'http.sock')}`
  const paths: string[] = []
  const registry = await startServer(t, (request, response) => {
    const { path, headers } = received(request)
    paths.push(path)
    if (headers['authorization'] === undefined) {
      response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
    } else if (path.startsWith('/v2/_catalog')) {
      response.end('{"repositories":["library/nginx","team/app"]}')
    } else if (path.includes('/tags/list')) {
      response.end('{"name":"library/nginx","tags":["1.27","latest"]}')
    } else response.end('{}')
  })
  const file = join(folder, 'image-resolver.yaml')
  const config = { address: registry.url, auth: 'a:b', http: { listen }, image: folder }
  writeFileSync(file, dump(config), { mode: 0o600 })
  const open = async (alone = false) => {
    const registries = await openRegistries({ file, alone })
    t.after(() => registries.close())
    return registries
  }
  return { file, listen, name: registry.host, open, paths }
}

test('without a service the registries are asked from here, with their credentials', async (t) => {
  const { listen, name, open } = await scene(t)

  const registries = await open()

  assert.equal(registries.alone, `no service answers at ${listen}`)
  assert.deepEqual(await registries.names(), [name])
  const [status] = (await registries.statuses()).registries
  assert.equal(status?.healthy, true)
  assert.equal(typeof status?.latencyMs, 'number')
  assert.deepEqual(await registries.repositories(name, { n: 10 }), {
    registry: name,
    repositories: ['library/nginx', 'team/app'],
    next: null,
  })
  assert.deepEqual(await registries.tags(name, 'library/nginx', { n: 10 }), {
    registry: name,
    repository: 'library/nginx',
    tags: ['1.27', 'latest'],
    next: null,
  })
})

for (const repository of [
  '../team/app',
  'a/../../../api/users?x=',
  'a#',
  'a\\..\\b',
  'A',
  '',
  'a//b',
]) {
  test(`the tags of ${JSON.stringify(repository)} are not asked for: it is no repository`, async (t) => {
    const { name, open, paths } = await scene(t)
    const registries = await open(true)

    await assert.rejects(registries.tags(name, repository, { n: 10 }), { code: 'NAME_INVALID' })

    assert.deepEqual(paths, [])
  })
}

test('a running service is asked instead, and no registry', async (t) => {
  const { listen, open, paths } = await scene(t)
  await listenHttp(await openApp(t), listen)

  const registries = await open()

  assert.equal(registries.alone, undefined)
  assert.deepEqual(await registries.names(), ['harbor.corp/hub'])
  assert.equal((await registries.statuses()).registries[0]?.latencyMs, 12.3)
  const page = await registries.repositories('harbor.corp/hub', { n: 2, last: 'a&b' })
  assert.deepEqual(page.repositories, ['library/nginx', 'team/app'])
  const { repository, tags } = await registries.tags('harbor.corp/hub', 'library/nginx', { n: 9 })
  assert.deepEqual([repository, tags], ['library/nginx', ['1.27', 'latest']])
  assert.deepEqual(paths, [])
})

test('what a running service has against it keeps its code', async (t) => {
  const { listen, open } = await scene(t)
  const failing = async () => {
    throw new ResolveError('UNAUTHORIZED', 'hub: other credentials are wanted')
  }
  const registries = someRegistries({ tags: failing })
  await listenHttp(await openApp(t, { registries }), listen)

  const access = await open()

  await assert.rejects(access.tags('harbor.corp/hub', 'a', { n: 1 }), {
    name: 'ResolveError',
    code: 'UNAUTHORIZED',
    message: 'hub: other credentials are wanted',
  })
})

test('`alone` asks no service', async (t) => {
  const { listen, name, open } = await scene(t)
  await listenHttp(await openApp(t), listen)

  const registries = await open(true)

  assert.equal(registries.alone, undefined)
  assert.deepEqual(await registries.names(), [name])
})

test('the numbers are the running service’s, and without one there are none', async (t) => {
  const { file, listen } = await scene(t)

  await assert.rejects(readStats({ file }), {
    code: 'UNAVAILABLE',
    message: /^no service answers at unix:\S+: only a running service counts/,
  })
  await listenHttp(await openApp(t), listen)
  const stats = await readStats({ file })

  assert.equal(stats.uptimeSeconds, 12.5)
})
