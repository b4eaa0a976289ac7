import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginFiles } from '../../../src/credentials/docker.ts'

test('logins are looked for where docker, podman and skopeo leave them', () => {
  assert.deepEqual(loginFiles({}, '/home/u'), [
    '/home/u/.docker/config.json',
    '/home/u/.config/containers/auth.json',
  ])
  assert.deepEqual(
    loginFiles(
      {
        REGISTRY_AUTH_FILE: '/a/auth.json',
        DOCKER_CONFIG: '/d',
        XDG_RUNTIME_DIR: '/run/user/1',
        XDG_CONFIG_HOME: '/c',
      },
      '/home/u',
    ),
    [
      '/a/auth.json',
      '/d/config.json',
      '/run/user/1/containers/auth.json',
      '/c/containers/auth.json',
    ],
  )
})

test('variables that are set to nothing name no place', () => {
  const environment = { REGISTRY_AUTH_FILE: '', DOCKER_CONFIG: '', XDG_RUNTIME_DIR: '' }

  assert.deepEqual(loginFiles(environment, '/home/u'), loginFiles({}, '/home/u'))
})
