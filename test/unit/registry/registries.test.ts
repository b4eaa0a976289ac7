import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryEntry } from '../../../src/registry/entry.ts'
import { ConfiguredRegistries } from '../../../src/registry/registries.ts'
import { entry } from '../../support/resolver.ts'

function serving(entries: readonly RegistryEntry[], domain: string): string[] {
  return new ConfiguredRegistries(entries, 1).serving(domain).map(({ name }) => name)
}

test('a private registry serves every domain', () => {
  assert.deepEqual(serving([entry('hub:5000'), entry('harbor.corp/proxy')], 'quay.io'), [
    'hub:5000',
    'harbor.corp/proxy',
  ])
})

test('a public registry is asked for its own images alone', () => {
  const entries = [entry('registry-1.docker.io'), entry('quay.io'), entry('hub:5000')]

  assert.deepEqual(serving(entries, 'docker.io'), ['registry-1.docker.io'])
  assert.deepEqual(serving(entries, 'quay.io'), ['quay.io'])
  assert.deepEqual(serving(entries, 'registry.corp'), ['hub:5000'])
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

test('a name that spells out a configured registry means that one', () => {
  const entries = [entry('hub:5000', { priority: 1000 }), entry('other.corp')]

  assert.deepEqual(serving(entries, 'other.corp'), ['other.corp'])
})

test('an entry with a prefix is a mirror, not the registry that its host names', () => {
  const entries = [entry('harbor.corp/proxy')]
  const registries = new ConfiguredRegistries(entries, 1)

  assert.deepEqual(registries.origin('harbor.corp'), {
    endpoint: { scheme: 'https', host: 'harbor.corp', prefix: '' },
  })
  assert.deepEqual(serving(entries, 'harbor.corp'), ['harbor.corp/proxy'])
})

test('every name of Docker Hub is the same registry, and answers at the same host', () => {
  for (const name of ['docker.io', 'index.docker.io', 'registry-1.docker.io']) {
    const hub = entry(name)
    const origin = new ConfiguredRegistries([hub], 1).origin('docker.io')

    assert.equal(origin.entry, hub)
    assert.equal(origin.endpoint.host, 'registry-1.docker.io')
  }
})

test('an origin that nobody configured is https, and http on loopback', () => {
  const registries = new ConfiguredRegistries([], 1)

  assert.equal(registries.origin('docker.io').endpoint.host, 'registry-1.docker.io')
  assert.equal(registries.origin('quay.io').endpoint.scheme, 'https')
  assert.equal(registries.origin('127.0.0.1:5000').endpoint.scheme, 'http')
})
