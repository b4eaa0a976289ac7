import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { RegistryEntry } from '../../../src/registry/entry.ts'
import {
  ConfiguredRegistries,
  compareMatches,
  matchUpstream,
  upstreamPattern,
} from '../../../src/registry/registries.ts'
import { entry } from '../../support/resolver.ts'

function serving(
  entries: readonly RegistryEntry[],
  domain: string,
  path = 'app',
  mirrorsOnly: readonly string[] = [],
): string[] {
  const registries = new ConfiguredRegistries(entries, 1, mirrorsOnly)
  return registries.serving({ domain, path }).map(({ name }) => name)
}

test('a private registry serves every domain', () => {
  assert.deepEqual(serving([entry('hub:5000'), entry('harbor.corp/proxy')], 'quay.io'), [
    'hub:5000',
    'harbor.corp/proxy',
  ])
})

test('a public registry is asked for its own images alone', () => {
  const entries = [entry('registry-1.docker.io'), entry('quay.io'), entry('hub:5000')]

  assert.deepEqual(serving(entries, 'docker.io'), ['registry-1.docker.io', 'hub:5000'])
  assert.deepEqual(serving(entries, 'quay.io'), ['quay.io', 'hub:5000'])
  assert.deepEqual(serving(entries, 'registry.corp'), ['hub:5000'])
})

test('credentials for a public registry do not keep the offline one from its images', () => {
  const entries = [entry('sealos.hub:5000', { priority: 1000, offline: true }), entry('docker.io')]

  assert.deepEqual(serving(entries, 'docker.io'), ['sealos.hub:5000', 'docker.io'])
})

test('a public registry serves what its upstreams say', () => {
  const entries = [entry('quay.io', { upstreams: ['docker.io'] })]

  assert.deepEqual(serving(entries, 'docker.io'), ['quay.io'])
  assert.deepEqual(serving(entries, 'ghcr.io'), [])
})

test('a registry with upstreams serves these, and always itself', () => {
  const entries = [entry('hub:5000', { upstreams: ['docker.io'] })]

  assert.deepEqual(serving(entries, 'docker.io'), ['hub:5000'])
  assert.deepEqual(serving(entries, 'quay.io'), [])
  assert.deepEqual(serving(entries, 'hub:5000'), ['hub:5000'])
})

test('an entry without upstreams leaves out `exceptUpstreams`', () => {
  const entries = [entry('hub:5000', { exceptUpstreams: ['quay.io'] })]

  assert.deepEqual(serving(entries, 'docker.io'), ['hub:5000'])
  assert.deepEqual(serving(entries, 'quay.io'), [])
})

test('a name that spells out a configured registry means that one', () => {
  const entries = [entry('hub:5000', { priority: 1000 }), entry('other.corp')]

  assert.deepEqual(serving(entries, 'other.corp'), ['other.corp'])
})

test('a name that spells out a configured private registry means that one and the offline one, by priority', () => {
  const offline = entry('sealos.hub:5000', { priority: 1000, offline: true })
  const own = entry('registry.corp:5000', { priority: 500 })
  const first = entry('fast.corp', { priority: 1200 })
  const mirror = entry('mirror.corp', { priority: 400 })
  const entries = [first, offline, own, mirror]

  assert.deepEqual(serving(entries, 'registry.corp:5000'), [
    'sealos.hub:5000',
    'registry.corp:5000',
  ])
  assert.deepEqual(serving(entries, 'fast.corp'), ['fast.corp', 'sealos.hub:5000'])
})

test('a name that spells out the offline registry means that one alone', () => {
  const offline = entry('sealos.hub:5000', { priority: 1000, offline: true })

  assert.deepEqual(serving([offline, entry('other.corp')], 'sealos.hub:5000'), ['sealos.hub:5000'])
  const project = entry('harbor.corp/proxy', { priority: 1000, offline: true })
  assert.deepEqual(serving([project, entry('other.corp')], 'harbor.corp'), [])
})

test('of the entries that name upstreams the longest pattern decides', () => {
  const entries = [
    entry('a.corp', { upstreams: ['*.io'] }),
    entry('b.corp', { upstreams: ['quay.io'] }),
    entry('c.corp', { upstreams: ['quay.io/team', 'docker.io'] }),
    entry('d.corp', { upstreams: ['ghcr.io', 'quay.io/team'] }),
  ]

  assert.deepEqual(serving(entries, 'quay.io', 'team/app'), ['c.corp', 'd.corp'])
  assert.deepEqual(serving(entries, 'quay.io', 'other/app'), ['b.corp'])
  assert.deepEqual(serving(entries, 'docker.io', 'library/nginx'), ['c.corp'])
  assert.deepEqual(serving(entries, 'gcr.io', 'app'), ['a.corp'])
  assert.deepEqual(serving(entries, 'registry.corp', 'app'), [])
})

test('two names of Docker Hub are one upstream, and neither is longer', () => {
  const entries = [
    entry('a.corp', { upstreams: ['docker.io'] }),
    entry('b.corp', { upstreams: ['registry-1.docker.io'] }),
  ]

  assert.deepEqual(serving(entries, 'docker.io', 'library/nginx'), ['a.corp', 'b.corp'])
})

test('the longest pattern takes nothing from entries that serve everything, or the registry itself', () => {
  const entries = [
    entry('sealos.hub:5000', { priority: 1000, offline: true }),
    entry('quay.io'),
    entry('harbor.corp/quay', { upstreams: ['quay.io'] }),
  ]

  assert.deepEqual(serving(entries, 'quay.io'), ['sealos.hub:5000', 'quay.io', 'harbor.corp/quay'])
  assert.deepEqual(
    serving(
      [entries[0], entries[2]].flatMap((each) => each ?? []),
      'quay.io',
    ),
    ['sealos.hub:5000', 'harbor.corp/quay'],
  )
})

test('several prefixes of one host each serve their own upstreams', () => {
  const entries = [
    entry('harbor.corp/hub', { upstreams: ['docker.io'] }),
    entry('harbor.corp/quay', { upstreams: ['quay.io'] }),
  ]

  assert.deepEqual(serving(entries, 'docker.io'), ['harbor.corp/hub'])
  assert.deepEqual(serving(entries, 'quay.io'), ['harbor.corp/quay'])
})

test('an entry with a prefix is no mirror of its own host, which is asked as it is configured', () => {
  const endpoint = { scheme: 'http', host: 'harbor.corp:80', prefix: 'proxy' } as const
  const entries = [entry('harbor.corp:80/proxy', { endpoint })]
  const registries = new ConfiguredRegistries(entries, 1)

  assert.deepEqual(serving(entries, 'harbor.corp:80'), [])
  assert.deepEqual(registries.origin('harbor.corp:80'), {
    endpoint: { scheme: 'http', host: 'harbor.corp:80', prefix: '' },
    configured: true,
  })
})

test('mirrorsOnly rules out the origin, also one that is configured', () => {
  const entries = [entry('quay.io'), entry('hub.corp', { upstreams: ['quay.io'] })]
  const registries = new ConfiguredRegistries(entries, 1, ['quay.io/team', '*.corp'])

  assert.equal(registries.mirrorsOnly({ domain: 'quay.io', path: 'team/app' }), 'quay.io/team')
  assert.equal(registries.mirrorsOnly({ domain: 'quay.io', path: 'other' }), undefined)
  assert.equal(registries.mirrorsOnly({ domain: 'a.corp', path: 'x' }), '*.corp')
  assert.deepEqual(serving(entries, 'quay.io', 'team/app', ['quay.io/team']), ['hub.corp'])
  assert.deepEqual(serving(entries, 'quay.io', 'other', ['quay.io/team']), ['quay.io', 'hub.corp'])
})

test('every name of Docker Hub is the same registry, and answers at the same host', () => {
  for (const name of [
    'docker.io',
    'index.docker.io',
    'hub.docker.com',
    'registry.hub.docker.com',
  ]) {
    const hub = entry(name)
    const origin = new ConfiguredRegistries([hub], 1).origin('docker.io')

    assert.equal(origin.entry, hub)
    assert.equal(origin.endpoint.host, 'registry-1.docker.io')
  }
})

test('an origin that is not configured is https, and http on loopback', () => {
  const registries = new ConfiguredRegistries([], 1)

  assert.equal(registries.origin('docker.io').endpoint.host, 'registry-1.docker.io')
  assert.equal(registries.origin('quay.io').endpoint.scheme, 'https')
  assert.equal(registries.origin('127.0.0.1:5000').endpoint.scheme, 'http')
  assert.equal(registries.origin('quay.io').configured, false)
})

test('a public registry that is configured with its port is the one that images are named after', () => {
  const quay = entry('quay.io:443')

  assert.equal(new ConfiguredRegistries([quay], 1).origin('quay.io').entry, quay)
  assert.deepEqual(serving([quay], 'quay.io'), ['quay.io:443'])
  assert.deepEqual(serving([quay], 'quay.io:443'), ['quay.io:443'])
  assert.deepEqual(serving([quay], 'docker.io'), [])
})

/** A folder with the tests of containers' registries.conf, written down. */
const folder = process.env['REFERENCE_VECTORS'] ?? ''
const file = join(folder, 'registries-conf-mirrors.tests.json')
const skip = existsSync(file) ? false : 'REFERENCE_VECTORS names no folder with these tests'

function matchLength(pattern: string, name: string): number {
  const [domain = '', ...path] = name.split('/')
  return matchUpstream(upstreamPattern(pattern), domain, path.join('/'))?.length ?? -1
}

test('a pattern matches a domain, what is below a domain, or a path of whole components', () => {
  const rows: readonly (readonly [pattern: string, name: string, length: number])[] = [
    ['docker.io', 'docker.io/library/nginx', 9],
    ['registry-1.docker.io', 'docker.io/library/nginx', 9],
    ['docker.io', 'quay.io/team/app', -1],
    ['quay.io/team', 'quay.io/team/app', 12],
    ['quay.io/team', 'quay.io/team', 12],
    ['quay.io/team', 'quay.io/teams/app', -1],
    ['quay.io/team', 'quay.io/other/team/app', -1],
    ['quay.io/team/app', 'quay.io/team', -1],
    ['*.corp', 'hub.corp/app', 8],
    ['*.corp', 'hub.eu.corp/app', 11],
    ['*.corp', 'corp/app', -1],
    ['*.corp', 'evilcorp/app', -1],
    ['*.corp', 'hub.corp.example/app', -1],
    ['*.corp/team', 'hub.corp/team/app', 13],
    ['*.corp/team', 'hub.corp/other/app', -1],
    ['*.io', 'docker.io/library/nginx', 9],
    ['*', 'docker.io/library/nginx', -1],
    ['**.corp', 'hub.eu.corp/app', -1],
    ['hub.corp:5000', 'hub.corp:5000/app', 13],
    ['hub.corp:5000', 'hub.corp:50000/app', -1],
    ['hub.corp', 'hub.corp:5000/app', -1],
    ['*.corp', 'hub.corp:5000/app', 13],
    ['*.corp:5000', 'hub.corp:5000/app', 13],
    ['*.corp:5000', 'hub.corp/app', -1],
  ]

  for (const [pattern, name, length] of rows) {
    assert.equal(matchLength(pattern, name), length, `${pattern} of ${name}`)
  }
})

test('the longer match is more specific, and of two of the same length the one with the longer pattern', () => {
  const ordered = ['*.com', '*.example.com', 'hub.example.com', '*.com/a', 'hub.example.com/a/b']
  const matches = ordered.map((text) => {
    const match = matchUpstream(upstreamPattern(text), 'hub.example.com', 'a/b/c')
    assert.ok(match, text)
    return match
  })

  const sorted = [...matches].reverse().sort(compareMatches)

  assert.deepEqual(
    sorted.map(({ pattern }) => pattern.text),
    ordered,
  )
})

test('patterns match as prefixes do in registries.conf', { skip }, () => {
  const { tables } = JSON.parse(readFileSync(file, 'utf8'))
  const rows: readonly Row[] = [
    ...tables.TestRefMatchingPrefix,
    ...tables.TestRefMatchingSubdomainPrefix,
  ]
  const mapped = rows.filter(isRepository)

  assert.ok(mapped.length > 35, `${mapped.length} of ${rows.length}`)
  for (const { ref, prefix, matchLen } of mapped) {
    assert.equal(matchLength(prefix, repositoryOf(ref)), matchLen, `${prefix} of ${ref}`)
  }
})

interface Row {
  readonly ref: string
  readonly prefix: string
  readonly matchLen: number
}

/** Upstreams are repositories, without tag or digest; and another port is another registry here. */
function isRepository({ ref, prefix }: Row): boolean {
  const isExact = prefix.includes('@') || /:[^/]*$/.test(prefix.replace(/^[^/]*/, ''))
  return !isExact && !(ref === 'example.com:5000' && prefix === 'example.com')
}

function repositoryOf(ref: string): string {
  const [domain = '', ...path] = ref.replace(/@.*/, '').split('/')
  return [domain, ...path.map((component) => component.replace(/:.*/, ''))].join('/')
}
