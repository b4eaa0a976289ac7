import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { unreachable } from '../../../src/runtime/unreachable.ts'

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
    `nobody listens at ${SOCKET}`,
  ],
  [
    status.UNAVAILABLE,
    failed(`Error: connect EACCES ${SOCKET}`),
    `no right to use ${SOCKET}: try it as root`,
  ],
  [status.UNAVAILABLE, failed('Protocol error'), `what listens at ${SOCKET} is no gRPC server`],
  [status.UNAVAILABLE, failed('new words'), `nobody answers at ${SOCKET}`],
  [status.UNAVAILABLE, 'Connection dropped', `the connection to ${SOCKET} broke off`],
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
