import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Exposure, exposureOf } from '../../../../src/http/access/guard.ts'

const places: readonly (readonly [Parameters<typeof exposureOf>[0], Exposure | undefined])[] = [
  ['/run/image-resolver.sock', 'socket'],
  [at('127.0.0.1'), 'loopback'],
  [at('127.8.0.1'), 'loopback'],
  [at('::1'), 'loopback'],
  [at('::ffff:127.0.0.1'), 'loopback'],
  [at('::'), 'network'],
  [at('0.0.0.0'), 'network'],
  [at('1.127.0.1'), 'network'],
  [at('10.0.0.1'), 'network'],
  [null, undefined],
]

for (const [address, place] of places) {
  test(`at ${JSON.stringify(address)} the place is ${place}`, () => {
    assert.equal(exposureOf(address), place)
  })
}

function at(address: string) {
  return { address, family: address.includes(':') ? 'IPv6' : 'IPv4', port: 9430 }
}
