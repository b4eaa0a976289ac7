import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { COMPONENT } from '../../src/reference/grammar.ts'
import type { Reference } from '../../src/reference/reference.ts'
import type { RegistryEntry } from '../../src/registry/entry.ts'
import { canonicalDomain, isPublicRegistry } from '../../src/registry/public-registries.ts'
import { ConfiguredRegistries } from '../../src/registry/registries.ts'
import { candidatesFor } from '../../src/resolver/candidates.ts'
import { entry, nginx } from '../support/resolver.ts'

const POD = { kind: 'basic', username: 'pod', password: 'secret' } as const

const PUBLIC = ['docker.io', 'registry-1.docker.io', 'quay.io', 'ghcr.io', 'eu.gcr.io']
const PRIVATE = [
  'hub.corp',
  'hub.corp:5000',
  'harbor.eu.corp',
  'registry.example',
  '[fd00::1]:5000',
]
const PATTERNS = [
  'docker.io',
  'quay.io/team',
  '*.corp',
  '*.eu.corp',
  'hub.corp:5000',
  '*.io',
  'corp',
]

const paths = fc.constantFrom('library/nginx', 'team/app', 'team', 'teams/app', 'a/b/c')

const entries = fc
  .array(
    fc.record({
      host: fc.constantFrom(...PUBLIC, ...PRIVATE),
      prefix: fc.constantFrom('', '', 'proxy', 'proxy/docker'),
      upstreams: fc.option(fc.subarray(PATTERNS)),
      path: fc.option(fc.constantFrom('{path}', '{domain}/{path}', 'cache/{domain}/{path}')),
      trusted: fc.boolean(),
      own: fc.boolean(),
    }),
    { maxLength: 6 },
  )
  .map((rows) =>
    rows.map(
      ({ host, prefix, upstreams, path, trusted, own }, index): RegistryEntry => ({
        ...entry(`${host}/${prefix}`, { priority: 500 - index, trusted }),
        name: `${host}/${prefix}#${index}`,
        endpoint: { scheme: 'https', host, prefix },
        ...(upstreams !== null && { upstreams }),
        ...(path !== null && { path }),
        ...(own && { credentials: { kind: 'basic', username: `own${index}`, password: 'x' } }),
      }),
    ),
  )

const references = fc
  .record({ domain: fc.constantFrom(...PUBLIC, ...PRIVATE, 'corp', 'evilcorp'), path: paths })
  .map((fields): Reference => nginx(fields))

const mirrorsOnly = fc.subarray(PATTERNS)

/** What the documentation says of a pattern, said in another way than the code does. */
function covers(pattern: string, { domain, path }: Reference): boolean {
  const [host = '', ...rest] = pattern.split('/')
  const [name = ''] = domain.replace(/^\[.*\]/, 'v6').split(':')
  const fits = host.startsWith('*.')
    ? name.split('.').length > host.split('.').length - 1 &&
      `${name}/`.includes(`${host.slice(1)}/`)
    : canonicalDomain(domain) === host
  return fits && `${path}/`.startsWith(rest.map((component) => `${component}/`).join(''))
}

test('no private name is ever asked of a public registry that was not given it', () => {
  fc.assert(
    fc.property(entries, references, mirrorsOnly, (list, reference, only) => {
      const candidates = candidatesFor(reference, new ConfiguredRegistries(list, 1, only), POD)

      for (const { endpoint, entry: by } of candidates) {
        const foreign =
          isPublicRegistry(endpoint.host) &&
          canonicalDomain(endpoint.host) !== canonicalDomain(reference.domain)
        if (foreign) assert.ok(by?.upstreams?.some((pattern) => covers(pattern, reference)))
      }
    }),
    { numRuns: 2_000 },
  )
})

test('an entry that names upstreams is asked for these and itself alone, and the longest one decides', () => {
  fc.assert(
    fc.property(entries, references, (list, reference) => {
      const candidates = candidatesFor(reference, new ConfiguredRegistries(list, 1), undefined)

      const best = candidates.filter(({ origin, entry: by }) => !origin && by?.upstreams)
      for (const { entry: by } of best) {
        const covering = by?.upstreams?.filter((pattern) => covers(pattern, reference)) ?? []
        assert.ok(covering.length > 0)
        const others = list.flatMap(({ upstreams = [] }) => upstreams)
        const withPath = others.some((text) => text.includes('/') && covers(text, reference))
        assert.ok(!withPath || covering.some((text) => text.includes('/')))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('the origin comes once, unless `mirrorsOnly` rules it out, and alone has the caller’s secret', () => {
  fc.assert(
    fc.property(entries, references, mirrorsOnly, (list, reference, only) => {
      const candidates = candidatesFor(reference, new ConfiguredRegistries(list, 1, only), POD)

      const confined = only.some((pattern) => covers(pattern, reference))
      const origins = candidates.filter(({ origin }) => origin)
      assert.equal(origins.length, confined ? 0 : 1)
      for (const { origin, credentials, endpoint } of candidates) {
        assert.equal(credentials, origin ? POD : undefined)
        if (!origin) continue
        assert.equal(canonicalDomain(endpoint.host), canonicalDomain(reference.domain))
      }
    }),
    { numRuns: 1_000 },
  )
})

test('every candidate has a repository that registries take, with the whole path at its end', () => {
  fc.assert(
    fc.property(entries, references, (list, reference) => {
      for (const each of candidatesFor(reference, new ConfiguredRegistries(list, 1), undefined)) {
        assert.ok(each.repository.split('/').every((component) => COMPONENT.test(component)))
        assert.ok(`/${each.repository}`.endsWith(`/${reference.path}`))
        if (each.origin) assert.equal(each.repository, reference.path)
      }
    }),
    { numRuns: 1_000 },
  )
})
