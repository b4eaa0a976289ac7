import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { RegistryAdmin } from '../../../src/http/registry-admin.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import type { RequestContext } from '../../../src/registry/image.ts'

// Node 20 collects what AbortSignal.any and AbortSignal.timeout make, and then no limit ends anything.
setFlagsFromString('--expose_gc')
const collectGarbage: () => void = runInNewContext('gc')

test('the limit of asking a silent registry holds whatever the garbage collector does', async () => {
  const desk = new RegistryAdmin({
    entries: () => [
      {
        name: 'hub:5000',
        endpoint: parseAddress('http://hub:5000'),
        priority: 500,
        offline: false,
      },
    ],
    health: { report: (registry) => ({ registry, state: 'closed', failures: 0 }) },
    keychain: { credentials: async () => undefined },
    images: async () => ({
      repositories: async () => assert.fail('nobody asks for names'),
      tags: async () => assert.fail('nobody asks for tags'),
      ping: ({ signal }: RequestContext) =>
        new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason))
          setImmediate(collectGarbage)
        }),
    }),
    pingLimitMs: 100,
  })

  const [status] = await desk.check(AbortSignal.timeout(5_000))

  assert.equal(status?.healthy, false)
  assert.deepEqual(status.lastError, {
    code: 'DEADLINE_EXCEEDED',
    message: 'no answer within 100 ms',
  })
})
