import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { answered, unreachable } from '../../../src/runtime/call.ts'

const SOCKET = '/run/x.sock'
const failed = (why: string) => `No connection established. Last error: ${why}. Resolution note: `

const CASES: readonly (readonly [number, string, string | undefined])[] = [
  [
    status.UNAVAILABLE,
    failed(`Error: connect ENOENT ${SOCKET}`),
    `there is no socket at ${SOCKET}`,
  ],
  [
    status.UNAVAILABLE,
    failed(`Error: connect ECONNREFUSED ${SOCKET}`),
    `nothing listens at ${SOCKET}`,
  ],
  [
    status.UNAVAILABLE,
    failed(`Error: connect EACCES ${SOCKET}`),
    `no right to use ${SOCKET}: try it as root`,
  ],
  [status.UNAVAILABLE, failed('Protocol error'), `what listens at ${SOCKET} is not a gRPC server`],
  [status.UNAVAILABLE, failed('new words'), `nothing answers at ${SOCKET}`],
  [status.UNAVAILABLE, 'Connection dropped', `the connection to ${SOCKET} broke off`],
  [
    status.UNAVAILABLE,
    'No connection established. Last error: Error: no SETTINGS of HTTP/2 came within 20 s',
    `what listens at ${SOCKET} takes connections and does not answer`,
  ],
  [status.UNAVAILABLE, 'No answer from /run/y.sock for 60 s', `${SOCKET} does not answer`],
  [
    status.DEADLINE_EXCEEDED,
    'Deadline exceeded after 9.999s,Waiting for LB pick',
    `${SOCKET} does not answer in time`,
  ],
  [status.DEADLINE_EXCEEDED, 'context deadline exceeded', undefined],
  [status.UNAVAILABLE, 'server is not initialized yet', undefined],
  [status.UNKNOWN, 'failed to pull: dial tcp: connect ECONNREFUSED 10.0.0.1:5000', undefined],
]

for (const [code, details, expected] of CASES) {
  test(`${JSON.stringify(details)} means ${expected ?? 'that somebody answered'}`, () => {
    assert.equal(unreachable(SOCKET, { code, details }), expected)
  })
}

test('what a runtime answers instead of its version is told, bounded, with what to do', () => {
  const details = 'unknown service runtime.v1alpha2.RuntimeService'
  const unknown = { code: status.UNIMPLEMENTED, details }

  assert.equal(answered(unknown), `answered UNIMPLEMENTED: ${details}`)
  assert.match(
    answered(unknown, 'v1alpha2') ?? '',
    /^answered UNIMPLEMENTED: unknown service runtime.v1alpha2.RuntimeService; .*`version: v1alpha2`: leave it out/,
  )
  assert.equal(
    answered({ code: status.UNAVAILABLE, details: 'server is not initialized yet' }, 'v1'),
    'answered UNAVAILABLE: server is not initialized yet',
  )
  const long = answered({ code: status.INTERNAL, details: 'x'.repeat(10_000) }) ?? ''
  assert.ok(long.length < 600, String(long.length))
})

test('a runtime that says nothing has answered nothing', () => {
  const details = 'Deadline exceeded after 1.000s,Waiting for LB pick'
  assert.equal(answered({ code: status.DEADLINE_EXCEEDED, details }), undefined)
  assert.equal(answered({ code: status.UNAVAILABLE, details: failed('EOF') }), undefined)
})
