import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseUpstream } from '../../../src/config/addresses.ts'

const GOOD: readonly (readonly [string, string])[] = [
  ['docker.io', 'docker.io'],
  ['index.docker.io', 'docker.io'],
  ['registry-1.docker.io', 'docker.io'],
  ['Quay.io', 'quay.io'],
  ['hub.corp:5000', 'hub.corp:5000'],
  ['hub:5000', 'hub:5000'],
  ['localhost', 'localhost'],
  ['[::1]:5000', '[::1]:5000'],
  ['*.corp', '*.corp'],
  ['*.Eu.Corp:5000', '*.eu.corp:5000'],
  ['quay.io/team', 'quay.io/team'],
  ['index.docker.io/library/nginx', 'docker.io/library/nginx'],
  ['hub.corp:5000/a/b__c', 'hub.corp:5000/a/b__c'],
]

for (const [written, domain] of GOOD) {
  test(`the upstream ${written} is ${domain}`, () => {
    assert.equal(parseUpstream(written), domain)
  })
}

for (const text of [
  'https://quay.io',
  'quay.io/',
  'quay.io//team',
  'quay.io/Team',
  'quay.io/team:1.0',
  `quay.io/${'a'.repeat(255)}`,
  '*',
  '*.',
  '*.corp/team',
  '*.[::1]',
  'a.*.corp',
  '*corp',
  'hub',
  'hub/team',
  '',
  'a b.c',
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is refused as an upstream, and told how to be written`, () => {
    assert.throws(() => parseUpstream(text), /is not what images are named by; .*quay\.io\/team/)
  })
}
