import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServiceInfo } from '../../../src/http/service-info.ts'

test('answers that are kept are told of without what became of their candidates, as many as are wanted', () => {
  const resolution = {
    reference: 'docker.io/library/nginx:1.27',
    registry: 'harbor.corp',
    platform: { os: 'linux', architecture: 'amd64' },
    digest: `sha256:${'a'.repeat(64)}`,
    resolvedAt: 0,
    expiresAt: 60_000,
    candidates: [{ registry: 'harbor.corp' }],
  }
  const where = [
    ['1 first', resolution],
    ['1 second', { ...resolution, reference: 'docker.io/library/redis:8', expiresAt: undefined }],
    ['1 third', resolution],
  ]
  const cache = {
    counts: () => ({ entries: { where: 3 } }),
    content: () => ({ where: where.values() }),
  }
  const service = new ServiceInfo({ cache } as unknown as ConstructorParameters<
    typeof ServiceInfo
  >[0])

  const { reference, registry, platform, digest } = resolution
  const first = { reference, registry, platform, digest, resolvedAt: '1970-01-01T00:00:00.000Z' }
  assert.deepEqual(service.cached(2), {
    total: 3,
    answers: [
      { ...first, expiresAt: '1970-01-01T00:01:00.000Z' },
      { ...first, reference: 'docker.io/library/redis:8', expiresAt: null },
    ],
  })
})
