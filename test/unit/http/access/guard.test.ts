import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { Guard } from '../../../../src/http/access/guard.ts'

test('the address that the door is bound to is not looked up again for each request', () => {
  let lookups = 0
  const guard = new Guard(
    {},
    () => {
      lookups += 1
      return { address: '127.0.0.1', family: 'IPv4', port: 9430 }
    },
    Date.now,
  )
  guard.refusal(request(), 'read')
  const lookupsOfFirst = lookups

  const refusals = [guard.refusal(request(), 'read'), guard.refusal(request(), 'read')]

  assert.deepEqual(refusals, [undefined, undefined])
  assert.equal(lookups, lookupsOfFirst)
})

test('a door that does not listen yet is looked at again once it does', () => {
  let address: { address: string; family: string; port: number } | null = null
  const guard = new Guard({}, () => address, Date.now)
  const before = guard.refusal(request(), 'read')
  address = { address: '192.0.2.7', family: 'IPv4', port: 9430 }

  const after = guard.refusal(request(), 'read')

  assert.equal(before, undefined)
  assert.equal(after?.code, 'DENIED')
})

function request(): IncomingMessage {
  return { headers: { host: '127.0.0.1:9430' } } as IncomingMessage
}
