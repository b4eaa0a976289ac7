import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printConfig } from '../../../src/config/print.ts'
import { loadText } from '../../support/config.ts'

function names(text: string): readonly string[] {
  return loadText(text).config.registries.map(({ name }) => name)
}

test('entries at one address that serve different images all stay, numbered in the order of asking', () => {
  const { config, warnings } = loadText(`
registries:
  - {address: harbor.corp, upstreams: [quay.io], path: "quay/{path}"}
  - {address: harbor.corp, upstreams: [docker.io], path: "hub/{path}", priority: 900}
  - {address: harbor.corp}
`)

  assert.deepEqual(
    config.registries.map(({ name, path }) => [name, path]),
    [
      ['harbor.corp', 'hub/{path}'],
      ['harbor.corp#2', 'quay/{path}'],
      ['harbor.corp#3', undefined],
    ],
  )
  assert.deepEqual(warnings, [])
})

test('an entry for some upstreams stays beside the top-level address at the same place', () => {
  const text = 'address: hub.corp\nregistries: [{address: hub.corp, upstreams: [quay.io]}]\n'

  assert.deepEqual(names(text), ['hub.corp', 'hub.corp#2'])
})

test('entries that differ in credentials, priority and TLS alone are one, the last', () => {
  const { config, warnings } = loadText(`registries:
- {address: hub.corp, upstreams: [a.b, c.d], priority: 9}
- {address: hub.corp, upstreams: [c.d, a.b], path: "{path}", auth: u:p, ca: /ca}
`)

  assert.deepEqual(
    config.registries.map(({ name, priority }) => [name, priority]),
    [['hub.corp', 500]],
  )
  assert.deepEqual(warnings, [
    'registries[0] (line 2): left out: registries[1] serves the same at the same address, and the last one counts',
  ])
})

test('numbers are the same when what is printed is loaded', () => {
  const { config } = loadText(`
registries:
  - {address: hub.corp, priority: 1}
  - {address: hub.corp, upstreams: [quay.io]}
  - {address: hub.corp, upstreams: [docker.io]}
`)

  const again = loadText(printConfig(config)).config

  assert.deepEqual(again.registries, config.registries)
})
