import { parseReference } from '../../src/reference/reference.ts'
import { type Registries, startRegistries } from '../registries.ts'
import { startResolving } from '../resolving.ts'
import { sample } from '../statistics.ts'
import type { LatencyPath } from './path.ts'

const CALLS = 20_000
/** Compiled by then as it will be for good. */
const WARM_UP = 10_000
const STALE_IMAGES = 50

/** What is answered without a request; each call is clocked by itself. */
export function inProcessPaths(registries: Registries, share: number): readonly LatencyPath[] {
  const { empty, healthy } = registries.way(0)
  const { requests } = registries
  const many = { calls: Math.ceil(CALLS * share), warmUp: Math.ceil(WARM_UP * share) }
  return [
    {
      kind: 'parse',
      name: 'parse `quay.io/team/app:1.2`',
      run: () => sample({ ...many, call: async () => parseReference('quay.io/team/app:1.2') }),
    },
    {
      kind: 'cached hit',
      name: 'cached hit, a tag',
      run: async (cleanup) => {
        const resolve = startResolving(cleanup, { hosts: [healthy] })
        await resolve('multi/nginx:latest')
        return sample({ ...many, requests, call: () => resolve('multi/nginx:latest') })
      },
    },
    {
      kind: 'digest hit',
      name: 'cached hit, a digest',
      run: async (cleanup) => {
        const resolve = startResolving(cleanup, { hosts: [healthy] })
        const { digest } = await resolve('multi/nginx:latest')
        const pinned = `multi/nginx@${digest}`
        await resolve(pinned)
        return sample({ ...many, requests, call: () => resolve(pinned) })
      },
    },
    {
      kind: 'negative hit',
      name: 'negative hit: no registry has it',
      run: async (cleanup) => {
        const resolve = startResolving(cleanup, { hosts: [empty] })
        const ask = () => resolve('nobody/has:it').catch(() => undefined)
        await ask()
        return sample({ ...many, requests, call: ask })
      },
    },
    {
      kind: 'stale',
      name: 'stale: the registry is gone',
      run: async (cleanup) => {
        const mortal = await startRegistries(cleanup)
        const resolve = startResolving(cleanup, { hosts: [mortal.way(0).healthy], tagTtl: '1ms' })
        const image = (index: number) => `multi/app-${index % STALE_IMAGES}:1`
        for (let index = 0; index < STALE_IMAGES; index += 1) await resolve(image(index))
        await mortal.stop()
        return sample({
          calls: Math.ceil(2_000 * share),
          warmUp: STALE_IMAGES,
          call: async (index) => {
            const { source } = await resolve(image(index))
            if (source !== 'stale') throw new Error(`${source} instead of stale`)
          },
        })
      },
    },
  ]
}
