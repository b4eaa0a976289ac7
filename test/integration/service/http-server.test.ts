import assert from 'node:assert/strict'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseConfig } from '../../../src/config/load.ts'
import { ResolveError } from '../../../src/errors.ts'
import type { Resolver } from '../../../src/resolver/resolver.ts'
import type { ResolveOptions } from '../../../src/resolver/types.ts'
import { type Core, createCore } from '../../../src/service/core.ts'
import { startHttp } from '../../../src/service/http-server.ts'
import { serviceFetch } from '../../../src/service/running-service.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** A door with its mirror; how its resolver is asked is written down. */
async function openWithMirror(t: TestContext, listen: string) {
  const yaml = `{http: {listen: '${listen}'}, mirror: {enabled: true}}`
  const { config } = parseConfig(yaml, { file: 'x', socketExists: () => false })
  const logger = silentLogger()
  const core: Core = createCore(config, logger, () => undefined)
  t.after(() => core.close())
  const seen: (boolean | undefined)[] = []
  const resolver: Pick<Resolver, 'candidates' | 'credentials' | 'resolve'> = {
    candidates: (...asked) => core.resolver.candidates(...asked),
    credentials: async (_candidate, unauthenticated) => {
      seen.push(unauthenticated)
      throw new ResolveError('UNAVAILABLE', 'nobody is asked here')
    },
    resolve: async (_reference, { unauthenticated }: ResolveOptions = {}) => {
      seen.push(unauthenticated)
      throw new ResolveError('MANIFEST_UNKNOWN', 'nothing is known here')
    },
  }
  let address = ''
  const door = await startHttp({
    config: () => config,
    core: { ...core, resolver: resolver as Resolver },
    readiness: { check: async () => [] },
    fd: undefined,
    logger: Object.assign(silentLogger(), {
      info: (told: { readonly address?: string }) => {
        address = told.address ?? address
      },
    }),
  })
  t.after(() => door.close())
  return { address, seen }
}

const paths = ['/v2/team/app/manifests/1?ns=a.corp', '/v2/team/app/tags/list?ns=a.corp']

test('clients of the mirror on loopback are anonymous', async (t) => {
  const { address, seen } = await openWithMirror(t, '127.0.0.1:0')

  for (const path of paths) await (await fetch(`${address}${path}`)).arrayBuffer()

  assert.deepEqual(seen, [true, true])
})

test('clients of the mirror on a unix socket are not', async (t) => {
  const listen = `unix://${join(temporaryFolder(t), 'door.sock')}`
  const { seen } = await openWithMirror(t, listen)
  const ask = serviceFetch({ listen, tls: undefined })

  for (const path of paths) await (await ask(`http://localhost${path}`)).arrayBuffer()

  assert.deepEqual(seen, [false, false])
})
