import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rankReferences, type Standing } from '../../../src/resolver/ranking.ts'
import { candidate, digestOf, nginx } from '../../support/resolver.ts'

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
