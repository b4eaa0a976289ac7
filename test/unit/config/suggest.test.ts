import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearestName } from '../../../src/config/diagnostics.ts'

const KNOWN = ['address', 'auth', 'priority', 'upstreams', 'imageCacheTTL']

const MEANT: readonly (readonly [string, string | undefined])[] = [
  ['adress', 'address'],
  ['adderss', 'address'],
  ['Address', 'address'],
  ['aht', 'auth'],
  ['upstream', 'upstreams'],
  ['imagecachettl', 'imageCacheTTL'],
  ['prio', undefined],
  ['x', undefined],
  ['zz', undefined],
  ['', undefined],
  ['somethingelse', undefined],
]

for (const [written, meant] of MEANT) {
  test(`for "${written}" ${meant ?? 'nothing'} is suggested`, () => {
    assert.equal(nearestName(written, KNOWN), meant)
  })
}
