import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump } from 'js-yaml'
import { buildApp } from '../../../src/http/app.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import type { ResolveOptions } from '../../../src/resolver/types.ts'
import { createCore } from '../../../src/service/core.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { createCertificate } from '../../support/certificate.ts'
import { loadText } from '../../support/config.ts'
import { FakeRegistry, refuseWith } from '../../support/fake-registry.ts'
import { startServer } from '../../support/http-server.ts'
import { buildImage, buildIndex } from '../../support/images.ts'
import { freePort } from '../../support/listen.ts'
import { temporaryFolder } from '../../support/stack.ts'

const TOKEN = 'of-the-fleet'
/** As PullImage asks. */
const PULL: ResolveOptions = { refresh: true, shared: true, urgent: true }
const ARM = { os: 'linux', architecture: 'arm64' }

type Logger = ReturnType<typeof silentLogger>
type Line = readonly [fields: Readonly<Record<string, unknown>>, message: string]

function openCore(t: TestContext, config: object) {
  const lines: Line[] = []
  const note = (fields: object, message?: string): void => {
    lines.push([{ ...fields }, message ?? ''])
  }
  const nothing = (): void => {}
  const logger = { debug: nothing, info: note, warn: note, error: nothing } as Logger
  const core = createCore(loadText(dump(config)).config, logger, () => undefined)
  t.after(() => core.close())
  return { core, lines }
}

/** A registry; a service that answers over TLS and with a token; and what a node has to write to ask it. */
async function startScene(t: TestContext, central: object = {}) {
  const folder = temporaryFolder(t)
  const [ca, certFile, keyFile, tokenFile] = ['ca', 'cert', 'key', 'token'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string]
  const { cert, key } = createCertificate()
  for (const [path, text] of [
    [ca, cert],
    [certFile, cert],
    [keyFile, key],
  ] as const) {
    writeFileSync(path, text)
  }
  writeFileSync(tokenFile, `${TOKEN}\n`)
  const registry = await FakeRegistry.start(t)
  const image = buildImage()
  registry.put('team/app', '1', image)
  const { core } = openCore(t, { registries: [{ address: registry.url }], ...central })
  const app = buildApp({
    answers: core.answers,
    readiness: { check: async () => [] },
    access: { token: TOKEN },
    tls: { certFile, keyFile },
    via: core.via,
    logger: silentLogger(),
  })
  t.after(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  const asked: string[] = []
  app.addHook('onRequest', async (request) => void asked.push(request.url))
  // On loopback alone reading needs no token.
  const { port } = new URL(await listenHttp(app, '0.0.0.0:0'))
  const url = `https://127.0.0.1:${port}`
  const entry = { url, ca, tokenFile }
  const node = (more: object = {}, changes: object = {}) =>
    openCore(t, {
      registries: [{ address: registry.url }],
      resolvers: [{ ...entry, ...changes }],
      ...more,
    })
  return { registry, image, entry, node, asked, reference: at(registry, 'team/app:1') }
}

function at(registry: FakeRegistry, name: string) {
  return parseReference(`${registry.host}/${name}`)
}

test('nodes ask the service, which asks the registry once for all of them', async (t) => {
  const { registry, image, node, reference } = await startScene(t)
  const nodes = Array.from({ length: 8 }, () => node().core)

  const pulled = await Promise.all(nodes.map((core) => core.resolver.resolve(reference, PULL)))

  for (const { ageMs, digest, imageId, references, registry: name, source } of pulled) {
    assert.deepEqual({ digest, imageId }, { digest: image.digest, imageId: image.imageId })
    assert.equal(source, 'shared')
    assert.equal(name, registry.host)
    assert.ok(ageMs !== undefined && ageMs >= 0 && ageMs < 5_000)
    assert.deepEqual(references[0], {
      reference: `${registry.host}/team/app@${image.digest}`,
      kind: 'digest',
      registry: registry.host,
      priority: 500,
      verified: true,
    })
  }
  assert.deepEqual(
    registry.log().filter((line) => line.includes('manifests')),
    ['GET /v2/team/app/manifests/1'],
  )
  assert.equal(nodes[0]?.metrics.shared.lookups.answer, 1)
})

test('a node keeps such an answer no longer than the registry gave it, and a pull takes none that is older than its freshness', async (t) => {
  const { registry, image, node, reference } = await startScene(t)
  await node().core.resolver.resolve(reference)
  const moved = buildImage({ seed: 'moved' })
  registry.put('team/app', '1', moved)

  const lookup = await node().core.resolver.resolve(reference)
  const pull = await node({ pull: { freshness: '1ms' } }).core.resolver.resolve(reference, PULL)

  assert.equal(lookup.digest, image.digest)
  assert.ok((lookup.expiresAt ?? 0) <= lookup.resolvedAt + 60_000)
  assert.equal(pull.digest, moved.digest)
})

test('a pull that takes no answer of others asks the registry itself', async (t) => {
  const { asked, node, reference } = await startScene(t)

  const zero = await node({ pull: { freshness: '0' } }).core.resolver.resolve(reference, PULL)
  const refreshed = await node().core.resolver.resolve(reference, { refresh: true })
  const all = await node().core.resolver.resolve(reference, { all: true })
  const credentials = { kind: 'basic', username: 'u', password: 'p' } as const
  const own = await node().core.resolver.resolve(reference, { ...PULL, credentials })

  assert.deepEqual(
    [zero, refreshed, all, own].map(({ source }) => source),
    Array(4).fill('registry'),
  )
  assert.deepEqual(asked, [])
})

const GONE: readonly (readonly [is: string, break_: (t: TestContext) => Promise<object>])[] = [
  ['refuses connections', async () => ({ url: `https://127.0.0.1:${await freePort()}` })],
  ['has a certificate of another authority', async () => ({ ca: undefined })],
  [
    'refuses the token',
    async (t) => {
      const tokenFile = join(temporaryFolder(t), 'token')
      writeFileSync(tokenFile, 'another')
      return { tokenFile }
    },
  ],
  ['has a token file that is gone', async () => ({ tokenFile: '/nowhere/token' })],
  ['is another program', async (t) => ({ url: (await startServer(t, other)).url })],
  ['is silent', async (t) => ({ url: (await startServer(t, () => {})).url })],
]

const other = (_request: unknown, response: { end(text: string): unknown }): void =>
  void response.end('{"hello":"world"}')

for (const [is, break_] of GONE) {
  test(`a service that ${is} is left alone, and the registry is asked`, async (t) => {
    const { image, node, reference } = await startScene(t)
    const { core, lines } = node({ probeBudget: '100ms' }, await break_(t))

    const first = await core.resolver.resolve(reference, PULL)
    const second = await core.resolver.resolve(reference, PULL)

    assert.deepEqual([first.digest, second.digest], [image.digest, image.digest])
    assert.deepEqual([first.source, second.source], ['registry', 'registry'])
    const said = lines.filter(([, message]) => message === 'a resolver is left alone')
    assert.equal(said.length, 1, JSON.stringify(lines))
    assert.ok(!JSON.stringify(lines).includes(TOKEN))
    assert.equal(core.metrics.shared.lookups.left_alone, 2)
  })
}

test('the second service answers where the first is gone', async (t) => {
  const { entry, reference, registry } = await startScene(t)
  const gone = { url: `https://127.0.0.1:${await freePort()}` }
  const { core } = openCore(t, {
    registries: [{ address: registry.url }],
    resolvers: [gone, entry],
  })

  const found = await core.resolver.resolve(reference, PULL)
  assert.equal(found.source, 'shared')
})

test('a refusal and an absence stay what they are, and the registry is not asked again for them', async (t) => {
  const { registry, node } = await startScene(t)
  const { core } = node()
  await assert.rejects(core.resolver.resolve(at(registry, 'team/nope:1'), PULL), {
    code: 'MANIFEST_UNKNOWN',
  })
  const before = registry.requests.length
  await assert.rejects(node().core.resolver.resolve(at(registry, 'team/nope:1'), PULL), {
    code: 'MANIFEST_UNKNOWN',
  })
  assert.equal(registry.requests.length, before)

  registry.behaviour = refuseWith(403)
  await assert.rejects(core.resolver.resolve(at(registry, 'team/secret:1'), PULL), {
    code: 'DENIED',
  })
  registry.put('team/nope', '1', buildImage())
  registry.put('team/secret', '1', buildImage())
})

test('where the service reaches no registry the node tries by itself', async (t) => {
  const gone = `http://127.0.0.1:${await freePort()}`
  const scene = await startScene(t, { registries: [{ address: gone }], mirrorsOnly: ['127.0.0.1'] })
  const { image, node, reference } = scene

  const found = await node().core.resolver.resolve(reference, PULL)

  assert.equal(found.digest, image.digest)
  assert.equal(found.source, 'registry')
})

test('an image of one platform is found by a node of another one, as without the service', async (t) => {
  const { registry, node } = await startScene(t)
  const arm = buildImage({ platform: ARM, seed: 'arm' })
  registry.put('team/arm', '1', arm)
  registry.put('team/both', '1', buildIndex([buildImage(), arm]))
  const { core } = node()

  assert.equal((await core.resolver.resolve(at(registry, 'team/arm:1'))).digest, arm.digest)
  const both = await core.resolver.resolve(at(registry, 'team/both:1'), { platform: ARM })
  assert.equal(both.imageId, arm.imageId)
  assert.equal(both.source, 'shared')
})

test('a service that is listed in its own resolvers refuses its own question, says so, and answers', async (t) => {
  const { image, registry, reference } = await startScene(t)
  const { core, lines, listing, url } = await startPlain(t, registry)
  listing(url)

  const found = await core.resolver.resolve(reference, PULL)

  assert.equal(found.digest, image.digest)
  assert.equal(found.source, 'registry')
  const [line] = lines.filter(([, message]) => message === 'a resolver is left alone')
  assert.match(String(line?.[0]['reason']), /this service asks itself/)
})

test('two services that list each other both answer', async (t) => {
  const { image, registry, reference } = await startScene(t)
  const one = await startPlain(t, registry)
  const two = await startPlain(t, registry)
  one.listing(two.url)
  two.listing(one.url)

  const both = await Promise.all([one, two].map(({ core }) => core.resolver.resolve(reference)))

  assert.deepEqual(
    both.map(({ digest }) => digest),
    [image.digest, image.digest],
  )
})

async function startPlain(t: TestContext, registry: FakeRegistry) {
  const registries = [{ address: registry.url }]
  const { core, lines } = openCore(t, { registries })
  const app = buildApp({
    answers: core.answers,
    readiness: { check: async () => [] },
    via: core.via,
    logger: silentLogger(),
  })
  t.after(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  const url = await listenHttp(app, '127.0.0.1:0')
  const listing = (...resolvers: readonly string[]) =>
    core.reconfigure(loadText(dump({ registries, resolvers })).config)
  return { core, lines, listing, url }
}
