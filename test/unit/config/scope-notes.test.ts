import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scopeNotes } from '../../../src/config/registries.ts'
import { loadText } from '../../support/config.ts'
import { entry } from '../../support/resolver.ts'

test('every entry without upstreams is said to be asked for everything', () => {
  const { config } = loadText(`
address: http://sealos.hub:5000
registries:
  - address: https://registry.corp
  - address: https://harbor.corp/proxy
    upstreams: [docker.io]
  - address: docker.io
  - address: docker.m.daocloud.io
`)

  assert.deepEqual(scopeNotes(config), [
    'sealos.hub:5000 is asked for the images of every domain: an entry of `registries` could say whose images it has, by `upstreams`',
    'registry.corp is asked for the images of every domain: `upstreams` says whose images it has',
  ])
})

test('a public registry with a path and without upstreams is said to be asked for nothing', () => {
  assert.deepEqual(scopeNotes({ registries: [entry('ghcr.io/team')] }), [
    'ghcr.io/team is never asked: anyone can own names at ghcr.io; `upstreams` says whose images it has',
  ])
})

test('domains that have a list of their own are left out of everything', () => {
  const [note] = scopeNotes({ registries: [entry('a.corp', { exceptUpstreams: ['docker.io'] })] })

  assert.match(note ?? '', /of every domain but docker\.io:/)
})
