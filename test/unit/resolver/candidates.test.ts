import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMPONENT } from '../../../src/reference/grammar.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import { ConfiguredRegistries } from '../../../src/registry/registries.ts'
import {
  candidatesFor,
  domainComponent,
  isPullable,
  mirrorRepository,
  needsConsent,
  rankReferences,
  resolvesTags,
  type Standing,
} from '../../../src/resolver/candidates.ts'
import type { Registries } from '../../../src/resolver/types.ts'
import { candidate, digestOf, entry, nginx, registriesOf } from '../../support/resolver.ts'

const pod = { kind: 'basic', username: 'pod', password: 'secret' } as const
const own = { kind: 'basic', username: 'mirror', password: 'other' } as const

test('the configured registries come in their order, the origin last', () => {
  const registries = registriesOf([entry('hub:5000', { priority: 1000 }), entry('harbor.corp')])

  const candidates = candidatesFor(nginx(), registries, undefined)

  assert.deepEqual(
    candidates.map(({ registry, priority, origin, configured }) => ({
      registry,
      priority,
      origin,
      configured,
    })),
    [
      { registry: 'hub:5000', priority: 1000, origin: false, configured: true },
      { registry: 'harbor.corp', priority: 500, origin: false, configured: true },
      { registry: 'docker.io', priority: 0, origin: true, configured: false },
    ],
  )
})

test('the prefix of an entry stands before the path, and never before the path at the origin', () => {
  const [mirror, origin] = candidatesFor(
    nginx(),
    registriesOf([entry('harbor.corp/proxy-docker')]),
    undefined,
  )

  assert.equal(mirror?.repository, 'proxy-docker/library/nginx')
  assert.equal(mirror?.pullName, 'harbor.corp/proxy-docker/library/nginx')
  assert.equal(origin?.repository, 'library/nginx')
  assert.equal(origin?.pullName, 'docker.io/library/nginx')
})

test("the caller's credentials go to the origin alone", () => {
  const registries = registriesOf([entry('hub:5000', { credentials: own }), entry('open:5000')])

  const candidates = candidatesFor(nginx(), registries, pod)

  assert.deepEqual(
    candidates.map(({ credentials }) => credentials),
    [undefined, undefined, pod],
  )
})

test("the caller's credentials do not go to an origin that gets no secrets but its own", () => {
  const hub = entry('registry-1.docker.io', { ownSecretsOnly: true })
  const registries: Registries = {
    ...registriesOf([hub]),
    origin: () => ({ endpoint: hub.endpoint, entry: hub, configured: true }),
  }

  const [origin] = candidatesFor(nginx(), registries, pod)

  assert.deepEqual([origin?.origin, origin?.credentials], [true, undefined])
})

test('an origin that is configured keeps the place of its entry', () => {
  const hub = entry('registry-1.docker.io', { priority: 900, credentials: own })
  const registries: Registries = {
    generation: 1,
    serving: () => [hub, entry('harbor.corp')],
    origin: () => ({ endpoint: hub.endpoint, entry: hub, configured: true }),
    isPublic: () => false,
    mirrorsOnly: () => undefined,
  }

  const anonymous = candidatesFor(nginx(), registries, undefined)
  const withSecret = candidatesFor(nginx(), registries, pod)

  assert.deepEqual(
    anonymous.map(({ registry, origin }) => ({ registry, origin })),
    [
      { registry: 'docker.io', origin: true },
      { registry: 'harbor.corp', origin: false },
    ],
  )
  assert.equal(anonymous[0]?.pullName, 'docker.io/library/nginx')
  assert.equal(anonymous[0]?.configured, true)
  assert.equal(anonymous[0]?.entry, hub)
  assert.equal(anonymous[0]?.credentials, undefined)
  assert.deepEqual(withSecret[0]?.credentials, pod)
})

test("an image of a configured private registry is looked for in the offline one first, and the pod's secret stays with its own", () => {
  const offline = entry('sealos.hub:5000', { priority: 1000, offline: true })
  const registries = new ConfiguredRegistries([offline, entry('registry.corp:5000')], 1)
  const reference = nginx({ domain: 'registry.corp:5000', path: 'team/app' })

  const candidates = candidatesFor(reference, registries, pod)

  assert.deepEqual(
    candidates.map(({ pullName, origin, credentials }) => ({ pullName, origin, credentials })),
    [
      { pullName: 'sealos.hub:5000/team/app', origin: false, credentials: undefined },
      { pullName: 'registry.corp:5000/team/app', origin: true, credentials: pod },
    ],
  )
})

test('a host whose rewrite leaves no path is no candidate', () => {
  const rewrite = { rules: [], apply: () => undefined }

  const [first, ...rest] = candidatesFor(
    nginx(),
    registriesOf([entry('m.corp', { rewrite })]),
    undefined,
  )

  assert.equal(first?.registry, 'docker.io')
  assert.deepEqual(rest, [])
})

test('the template of an entry says where it keeps what it serves', () => {
  const [mirror] = candidatesFor(
    nginx({ domain: 'hub.corp:5000' }),
    registriesOf([entry('harbor.corp/cache', { path: '{domain}/{path}' })]),
    undefined,
  )

  assert.equal(mirror?.repository, 'cache/hub.corp_5000/library/nginx')
  assert.equal(mirror?.pullName, 'harbor.corp/cache/hub.corp_5000/library/nginx')
})

test('an origin that `mirrorsOnly` rules out is no candidate', () => {
  const registries = { ...registriesOf([entry('hub:5000')]), mirrorsOnly: () => 'docker.io' }

  const candidates = candidatesFor(nginx(), registries, pod)

  assert.deepEqual(
    candidates.map(({ registry }) => registry),
    ['hub:5000'],
  )
})

test('what an entry may do for its upstreams says nothing of the images that are its own', () => {
  const named = { capabilities: ['pull'] } as const
  const asMirror = candidate('m1', { entry: entry('m1', { ...named, upstreams: ['docker.io'] }) })
  const asItself = { ...asMirror, origin: true }
  const restricted = candidate('m1', { origin: true, entry: entry('m1', named) })

  assert.deepEqual([asMirror, asItself, restricted].map(resolvesTags), [false, true, false])
  assert.deepEqual([asMirror, asItself, restricted].map(isPullable), [true, true, true])
})

test('the origin needs no consent', () => {
  const distrusted = entry('docker.io', { trusted: false })

  assert.equal(needsConsent(candidate('m1', { entry: distrusted })), true)
  assert.equal(needsConsent(candidate('docker.io', { origin: true, entry: distrusted })), false)
  assert.equal(needsConsent(candidate('m1')), false)
})

test('a host of containerd’s hosts.toml gets the registry that an image is named after as its namespace, the origin does not', () => {
  const hosts = { source: 'hostsDir' } as const
  const registries = registriesOf([entry('mirror.corp', hosts), entry('hub:5000')])

  const candidates = candidatesFor(nginx(), registries, undefined)

  assert.deepEqual(
    candidates.map(({ registry, namespace }) => [registry, namespace]),
    [
      ['mirror.corp', 'docker.io'],
      ['hub:5000', undefined],
      ['docker.io', undefined],
    ],
  )
})

const D = digestOf('d')
const m1 = candidate('m1', { priority: 1000 })
const m2 = candidate('m2')
const origin = candidate('docker.io', { origin: true, pullName: 'docker.io/library/nginx' })

function names(standings: Record<string, Standing>, reference = nginx()): string[] {
  return rankReferences(reference, D, [m1, m2, origin], ({ registry }) => {
    return standings[registry] ?? 'assumed'
  }).map(({ reference: name, verified }) => `${name.replace(D, 'D')}${verified ? ' verified' : ''}`)
}

test('digests come before tags, verified before assumed, then the order of the candidates', () => {
  assert.deepEqual(names({ m2: 'verified' }), [
    'm2/library/nginx@D verified',
    'm1/library/nginx@D',
    'docker.io/library/nginx@D',
    'm2/library/nginx:latest verified',
    'm1/library/nginx:latest',
    'docker.io/library/nginx:latest',
  ])
})

test('a registry that said no is not listed', () => {
  assert.deepEqual(names({ m1: 'refuted', m2: 'verified' }), [
    'm2/library/nginx@D verified',
    'docker.io/library/nginx@D',
    'm2/library/nginx:latest verified',
    'docker.io/library/nginx:latest',
  ])
})

test('a reference with a digest has no tags in its answer', () => {
  assert.deepEqual(names({ m1: 'verified' }, nginx({ digest: D })), [
    'm1/library/nginx@D verified',
    'm2/library/nginx@D',
    'docker.io/library/nginx@D',
  ])
})

test('each reference names its registry, its kind and its priority', () => {
  const [first] = rankReferences(nginx(), D, [m1], () => 'verified')

  assert.deepEqual(first, {
    reference: `m1/library/nginx@${D}`,
    kind: 'digest',
    registry: 'm1',
    priority: 1000,
    verified: true,
  })
})

/** A folder with the tests of containers' registries.conf, written down. */
const folder = process.env['REFERENCE_VECTORS'] ?? ''
const file = join(folder, 'registries-conf-mirrors.tests.json')
const skip = existsSync(file) ? false : 'REFERENCE_VECTORS names no folder with these tests'

test('a repository is kept below the prefix, by the template', () => {
  const rows = [
    ['hub:5000', undefined, 'library/nginx'],
    ['harbor.corp/proxy', undefined, 'proxy/library/nginx'],
    ['harbor.corp', '{domain}/{path}', 'docker.io/library/nginx'],
    ['harbor.corp/cache', 'x-{domain}/y/{path}', 'cache/x-docker.io/y/library/nginx'],
  ] as const

  for (const [name, path, repository] of rows) {
    const where = entry(name, path === undefined ? {} : { path })
    assert.equal(mirrorRepository(nginx(), where), repository)
  }
})

test('nothing that a reference holds is read as a template again', () => {
  const where = entry('hub:5000', { path: '{domain}/{path}' })

  assert.equal(
    mirrorRepository(nginx({ domain: 'corp.example', path: 'path/domain' }), where),
    'corp.example/path/domain',
  )
})

test('a domain becomes one legal component, and no two domains the same', () => {
  const rows = [
    ['docker.io', 'docker.io'],
    ['hub.corp:5000', 'hub.corp_5000'],
    ['localhost', 'localhost'],
    ['Foo', 'foo'],
    ['[fd00::1]:5000', 'fd00__1-5000'],
    ['[fd00::1:5000]', 'fd00__1_5000'],
    ['[::1]:5000', '0__1-5000'],
    ['[fd00::]', 'fd00__0'],
    ['[::]', '0__0'],
  ] as const

  for (const [domain, component] of rows) {
    assert.equal(domainComponent(domain), component)
    assert.match(component, COMPONENT)
  }
})

test('a location takes over whole paths as registries.conf does for a domain', { skip }, () => {
  const { tables } = JSON.parse(readFileSync(file, 'utf8'))
  const rows: readonly Row[] = tables.TestRewriteReferenceSuccess
  // Here a path that was matched is kept, a location is never left out, and has its own port.
  const mapped = rows.filter(
    ({ inputRef, location, prefix }) =>
      location !== '' && !prefix.includes('/') && !/^[^/]*\.io:5000/.test(inputRef),
  )

  assert.ok(mapped.length >= 10, `${mapped.length} of ${rows.length}`)
  for (const { expected, inputRef, location } of mapped) {
    // Their digests are too short to be any.
    const reference = parseReference(inputRef.replace(/@.*/, ''))
    const where = entry(location)
    const pullName = `${where.endpoint.host}/${mirrorRepository(reference, where)}`
    assert.equal(pullName, expected.replace(/[:@](?!.*\/).*/, ''), inputRef)
  }
})

interface Row {
  readonly expected: string
  readonly inputRef: string
  readonly location: string
  readonly prefix: string
}
