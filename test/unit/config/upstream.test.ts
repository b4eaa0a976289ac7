import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseUpstream } from '../../../src/config/upstream.ts'

const GOOD: readonly (readonly [string, string])[] = [
  ['docker.io', 'docker.io'],
  ['index.docker.io', 'docker.io'],
  ['registry-1.docker.io', 'docker.io'],
  ['Quay.io', 'quay.io'],
  ['hub.corp:5000', 'hub.corp:5000'],
  ['hub:5000', 'hub:5000'],
  ['localhost', 'localhost'],
  ['[::1]:5000', '[::1]:5000'],
]

for (const [written, domain] of GOOD) {
  test(`the upstream ${written} is ${domain}`, () => {
    assert.equal(parseUpstream(written), domain)
  })
}

for (const text of [
  'https://quay.io',
  'quay.io/team',
  'quay.io/',
  '*',
  '*.io',
  'hub',
  '',
  'a b.c',
]) {
  test(`${JSON.stringify(text)} is refused as an upstream, and told how to be written`, () => {
    assert.throws(() => parseUpstream(text), /is not a registry's domain; .*docker\.io, quay\.io/)
  })
}
