import assert from 'node:assert/strict'
import { test } from 'node:test'
import { takeListenFds } from '../../../src/host/systemd.ts'

for (const [what, env, expected] of [
  ['nothing is handed down', {}, { unused: [] }],
  ['one without a name is for CRI', { LISTEN_PID: '7', LISTEN_FDS: '1' }, { cri: 3, unused: [] }],
  [
    'the one called http is for HTTP, wherever it stands',
    { LISTEN_PID: '7', LISTEN_FDS: '2', LISTEN_FDNAMES: 'http:image-resolver.socket' },
    { cri: 4, http: 3, unused: [] },
  ],
  [
    'HTTP alone',
    { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
    { http: 3, unused: [] },
  ],
  [
    'what no server is for is named',
    { LISTEN_PID: '7', LISTEN_FDS: '3', LISTEN_FDNAMES: 'cri:http:more' },
    { cri: 3, http: 4, unused: ['more'] },
  ],
  ['what is meant for another process', { LISTEN_PID: '8', LISTEN_FDS: '1' }, { unused: [] }],
  ['a count that is none', { LISTEN_PID: '7', LISTEN_FDS: '-1' }, { unused: [] }],
  ['a count beyond reason', { LISTEN_PID: '7', LISTEN_FDS: '999' }, { unused: [] }],
] as const) {
  test(`sockets from systemd: ${what}`, () => {
    assert.deepEqual(takeListenFds({ ...env }, 7), expected)
  })
}

test('children do not see what was handed down to us', () => {
  const env = { LISTEN_PID: '7', LISTEN_FDS: '1', LISTEN_FDNAMES: 'cri', PATH: '/bin' }

  takeListenFds(env, 7)

  assert.deepEqual(env, { PATH: '/bin' })
})
