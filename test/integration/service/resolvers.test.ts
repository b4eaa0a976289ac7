import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump } from 'js-yaml'
import type { ResolveError } from '../../../src/errors.ts'
import { buildApp } from '../../../src/http/app.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { formatReference, parseReference } from '../../../src/reference/reference.ts'
import type { ResolveOptions } from '../../../src/resolver/types.ts'
import { createCore } from '../../../src/service/core.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { createCertificate } from '../../support/certificate.ts'
import { loadText } from '../../support/config.ts'
import { FakeRegistry, refuseWith } from '../../support/fake-registry.ts'
import { startServer } from '../../support/http-server.ts'
import { buildImage, buildIndex, type TestImage } from '../../support/images.ts'
import { reservePort } from '../../support/port.ts'
import { temporaryFolder } from '../../support/stack.ts'

const TOKEN = 'of-the-fleet'
/** As PullImage asks. */
const PULL: ResolveOptions = { refresh: true, shared: true, urgent: true }
const AMD64 = { os: 'linux', architecture: 'amd64' }
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
  // So much that a busy machine is no silent service, and no silent registry.
  const patient = { probeBudget: '20s', hedgeDelay: '0', pull: { freshness: '1m' }, ...config }
  const core = createCore(loadText(dump(patient)).config, logger, () => undefined)
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
    tls: { cert: certFile, key: keyFile },
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
    assert.ok(ageMs !== undefined && ageMs >= 0 && ageMs < 60_000)
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
  ['refuses connections', async (t) => ({ url: `https://127.0.0.1:${await reservePort(t)}` })],
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
  const gone = { url: `https://127.0.0.1:${await reservePort(t)}` }
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
  const gone = `http://127.0.0.1:${await reservePort(t)}`
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

test('what the address policy of the service forbids the node asks for itself', async (t) => {
  const mirror = await FakeRegistry.start(t)
  const { image, node, reference } = await startScene(t, { registries: [{ address: mirror.url }] })
  const { core, lines } = node()

  const found = await core.resolver.resolve(reference, PULL)

  assert.deepEqual([found.digest, found.source], [image.digest, 'registry'])
  assert.deepEqual(lines, [])
})

test('an image that the service has no credentials for is found with those of the node', async (t) => {
  const secret = { username: 'robot', password: 'of-the-node' }
  const registry = await FakeRegistry.start(t, { auth: { kind: 'basic', ...secret } })
  const image = buildImage()
  registry.put('team/app', '1', image)
  const { node } = await startScene(t, { registries: [{ address: registry.url }] })
  const registries = (more: object) => ({ registries: [{ address: registry.url, ...more }] })

  const found = await node(registries(secret)).core.resolver.resolve(
    at(registry, 'team/app:1'),
    PULL,
  )
  assert.deepEqual([found.digest, found.source], [image.digest, 'registry'])

  const before = registry.requests.length
  const none = node(registries({})).core.resolver.resolve(at(registry, 'team/app:1'), PULL)
  await assert.rejects(none, { code: 'UNAUTHORIZED' })
  const asked = registry.log().slice(before)
  assert.equal(asked.length, 1, `by the service alone: ${asked.join()}`)
})

/** A service of anyone, over TLS; and what a node has to write to ask it. */
async function startHostile(t: TestContext, status: number, body: object) {
  const certificate = createCertificate()
  const ca = join(temporaryFolder(t), 'ca')
  writeFileSync(ca, certificate.cert)
  const say = (_request: unknown, response: ServerResponse): void =>
    void response.writeHead(status).end(JSON.stringify(body))
  const { url } = await startServer(t, say, certificate)
  return { url, ca }
}

function refusal(code: string, attempts: readonly object[], message = 'no') {
  return { errors: [{ code, message, detail: { attempts } }] }
}

const SAID = { step: 'manifest', ms: 1 }
const ABSENT = { ...SAID, outcome: 'not_found', status: 404 }
const DENIED = { ...SAID, outcome: 'denied', status: 403 }
const REFUSED: readonly (readonly [
  is: string,
  status: number,
  code: string,
  attempts: readonly object[],
  isTaken: boolean,
])[] = [
  ['an absence at the registry', 404, 'MANIFEST_UNKNOWN', [ABSENT], true],
  ['a refusal of the registry', 403, 'DENIED', [DENIED], true],
  ['a refusal after an absence', 403, 'DENIED', [ABSENT, DENIED], true],
  ['an absence elsewhere', 404, 'MANIFEST_UNKNOWN', [{ ...ABSENT, registry: 'other' }], false],
  ['a refusal elsewhere', 403, 'DENIED', [{ ...DENIED, registry: 'other' }], false],
  ['an absence that no registry told', 404, 'MANIFEST_UNKNOWN', [without(ABSENT)], false],
  ['a refusal that no registry told', 403, 'DENIED', [without(DENIED)], false],
  ['an absence after a refusal', 404, 'MANIFEST_UNKNOWN', [ABSENT, DENIED], false],
  [
    'an absence after a failure',
    404,
    'MANIFEST_UNKNOWN',
    [{ ...ABSENT, outcome: 'timeout' }],
    false,
  ],
  [
    'an absence beside the image',
    404,
    'MANIFEST_UNKNOWN',
    [ABSENT, { ...SAID, registry: 'other', outcome: 'ok', status: 200 }],
    false,
  ],
  ['a refusal without a number', 403, 'DENIED', [{ ...DENIED, status: 'x' }], false],
]

function without({ status: _, ...rest }: { readonly status: number }): object {
  return rest
}

for (const [is, status, code, attempts, isTaken] of REFUSED) {
  test(`${is} is ${isTaken ? 'taken' : 'no answer, and the registry is asked'}`, async (t) => {
    const { image, node, reference, registry } = await startScene(t)
    const told = attempts.map((each) => ({ registry: registry.host, ...each }))
    const { core, lines } = node({}, await startHostile(t, status, refusal(code, told)))

    const found = core.resolver.resolve(reference, PULL)

    if (isTaken) await assert.rejects(found, { code })
    else assert.equal((await found).digest, image.digest)
    assert.equal(registry.requests.length > 0, !isTaken)
    const { absence, none } = core.metrics.shared.lookups
    assert.deepEqual([absence, none], isTaken ? [1, 0] : [0, 1])
    assert.deepEqual(lines, [], 'it is not left alone')
  })
}

test('a refusal at one of two registries of the node is not taken', async (t) => {
  const { image, node, reference, registry } = await startScene(t)
  const mirror = await FakeRegistry.start(t)
  const told = [{ registry: mirror.host, ...ABSENT }]
  const { core } = node(
    { registries: [{ address: mirror.url }, { address: registry.url }] },
    await startHostile(t, 404, refusal('MANIFEST_UNKNOWN', told)),
  )

  assert.equal((await core.resolver.resolve(reference, PULL)).digest, image.digest)
})

test('a registry that the node asks by digest alone need not have been asked for a tag', async (t) => {
  const { node, reference, registry } = await startScene(t)
  const mirror = await FakeRegistry.start(t)
  const told = [{ registry: registry.host, ...ABSENT }]
  const { core } = node(
    {
      registries: [{ address: mirror.url, capabilities: ['pull'] }, { address: registry.url }],
    },
    await startHostile(t, 404, refusal('MANIFEST_UNKNOWN', told)),
  )

  await assert.rejects(core.resolver.resolve(reference, PULL), { code: 'MANIFEST_UNKNOWN' })
})

test('of a refusal 64 attempts are read, and short lines of its texts', async (t) => {
  const { node, reference, registry } = await startScene(t)
  const text = `\u001b[31mred\r\n\u0000${'x'.repeat(5_000)}`
  const told = Array.from({ length: 100 }, (_, index) => ({
    registry: index === 0 ? registry.host : text,
    ...ABSENT,
    message: text,
  }))
  const body = refusal('MANIFEST_UNKNOWN', told, text)
  const { core } = node({}, await startHostile(t, 404, body))

  const error = await core.resolver.resolve(reference, PULL).then(
    () => assert.fail('it is taken'),
    (thrown: unknown) => thrown as ResolveError,
  )

  assert.equal(error.code, 'MANIFEST_UNKNOWN')
  assert.equal(error.attempts.length, 64)
  const texts = [error.message, ...error.attempts.flatMap((each) => [each.registry, each.message])]
  for (const each of texts) {
    assert.ok(each !== undefined && each.length <= 300, `${each?.length} characters`)
    assert.doesNotMatch(each, /\p{Cc}/u)
  }
  assert.equal(error.message.length, 300)
})

test('an answer for another platform or digest is not taken, and the service is left alone', async (t) => {
  const { node, registry } = await startScene(t)
  const arm = buildImage({ platform: ARM, seed: 'arm' })
  const image = buildImage({ seed: 'amd' })
  registry.put('team/both', '1', buildIndex([image, arm]))
  registry.put('team/arm', '1', arm)
  const amd = { os: 'linux', architecture: 'amd64' }
  const tag = `${registry.host}/team/both:1`
  const byDigest = `${registry.host}/team/arm@${arm.digest}`
  const cases = [
    [tag, amd, answerOf(tag, image, ARM), /linux\/arm64.*linux\/amd64/],
    [tag, amd, answerOf(tag, image, { ...ARM, assumed: true }), /linux\/arm64.*linux\/amd64/],
    // It may be run, but is not what would be assumed.
    [tag, amd, answerOf(tag, image, { ...amd, architecture: '386', assumed: true }), /linux\/386/],
    [byDigest, ARM, answerOf(byDigest, image, ARM), /another digest/],
  ] as const
  for (const [name, platform, body, why] of cases) {
    const { core, lines } = node({}, await startHostile(t, 200, body))

    const found = await core.resolver.resolve(parseReference(name), { ...PULL, platform })

    assert.equal(found.source, 'registry')
    assert.equal(found.imageId, platform === ARM ? arm.imageId : image.imageId)
    const [line] = lines.filter(([, message]) => message === 'a resolver is left alone')
    assert.match(String(line?.[0]['reason']), why)
    assert.equal(core.metrics.shared.lookups.left_alone, 1)
  }
})

test('an answer that is older than what a pull takes is not taken, whatever the service was asked for', async (t) => {
  const { node, reference } = await startScene(t)
  const name = formatReference(reference)
  const old = { ...answerOf(name, buildImage({ seed: 'old' }), AMD64), ageMs: 60_001 }

  const { core, lines } = node({}, await startHostile(t, 200, old))
  const pull = await core.resolver.resolve(reference, { ...PULL, platform: AMD64 })

  assert.equal(pull.source, 'registry')
  assert.deepEqual(
    lines.filter(([, message]) => message === 'a resolver is left alone'),
    [],
  )
})

test('an answer for a platform that the asked one runs is taken, however it is spelled', async (t) => {
  const { node, registry } = await startScene(t)
  const old = { ...ARM, architecture: 'arm', variant: 'v7' }
  const variants = [{ ...ARM, variant: 'v8' }, old]
  for (const [index, platform] of variants.entries()) {
    const image = buildImage({ platform, seed: `arm ${index}` })
    registry.put('team/arm', String(index), buildIndex([image]))
    const name = at(registry, `team/arm:${index}`)

    const found = await node().core.resolver.resolve(name, { ...PULL, platform: ARM })

    assert.deepEqual([found.imageId, found.source], [image.imageId, 'shared'])
  }
})

function answerOf(reference: string, image: TestImage, platform: object) {
  const [repository] = reference.split(/:1$|@/)
  const pinned = `${repository}@${image.digest}`
  const registry = reference.split('/')[0]
  return {
    reference,
    digest: image.digest,
    manifestDigest: image.digest,
    imageId: image.imageId,
    mediaType: image.mediaType,
    platform,
    registry,
    references: [{ reference: pinned, kind: 'digest', registry, priority: 500, verified: true }],
    source: 'registry',
    ageMs: 0,
    resolvedAt: new Date().toISOString(),
    expiresAt: new Date(Date.now() + 60_000).toISOString(),
  }
}

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
