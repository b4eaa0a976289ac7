import assert from 'node:assert/strict'
import { test } from 'node:test'
import { helperEnvironment } from '../../../src/credentials/program.ts'

test('helpers get what they are set up with and nothing else', () => {
  const given = helperEnvironment({
    PATH: '/bin',
    HOME: '/root',
    AWS_PROFILE: 'ecr',
    https_proxy: 'http://proxy:3128',
    HTTP_TOKEN: 'hunter2',
    NODE_OPTIONS: '--inspect',
    LD_PRELOAD: 'x.so',
    XDG_RUNTIME_DIR: undefined,
  })

  assert.deepEqual(given, {
    PATH: '/bin',
    HOME: '/root',
    AWS_PROFILE: 'ecr',
    https_proxy: 'http://proxy:3128',
  })
})

test('without a PATH they are looked for in the usual folders', () => {
  assert.match(helperEnvironment({})['PATH'] ?? '', /^\/usr\/local\/sbin:.*:\/usr\/bin:/)
})
