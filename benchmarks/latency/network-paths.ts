import { setTimeout as delay } from 'node:timers/promises'
import type { Registries } from '../registries.ts'
import { refusingHost, startResolving } from '../resolving.ts'
import { type Sample, sample } from '../statistics.ts'
import type { LatencyPath } from './path.ts'

const CALLERS = 1_000
/** What one round may spend on waiting for round trips. */
const WAITING_MS = 600
const MOST_CALLS = 150
const WARM_UP = 10
const AFTER_CALLS = 40
/** A dead registry is tried again after a second and up to a quarter more. */
const REST_MS = 1_300

/** Cold, with a token, known before, and for a thousand callers at once. */
export function networkPaths(
  registries: Registries,
  roundTripMs: number,
  share: number,
): readonly LatencyPath[] {
  const { healthy, token } = registries.way(roundTripMs)
  const { requests } = registries
  const calls = callsOf(roundTripMs, share)
  const named = (kind: string, what: string, run: LatencyPath['run']): LatencyPath => ({
    kind,
    name: `${what}, round trip ${roundTripMs} ms`,
    run,
  })
  const cold =
    (host: string, image: (index: number, mark: string) => string): LatencyPath['run'] =>
    (cleanup, round) => {
      const resolve = startResolving(cleanup, { hosts: [host] })
      const mark = `${roundTripMs}-${round}`
      return sample({ calls, warmUp: WARM_UP, requests, call: (n) => resolve(image(n, mark)) })
    }
  return [
    named(
      'single-platform',
      'cold, single-platform',
      cold(healthy, (n, mark) => `single/app:${mark}-${n}`),
    ),
    named(
      'multi-platform',
      'cold, multi-platform',
      cold(healthy, (n, mark) => `multi/app:${mark}-${n}`),
    ),
    named(
      'token known',
      'cold, multi-platform, token known',
      cold(token, (n, mark) => `multi/app:${mark}-${n}`),
    ),
    named(
      'token asked for',
      'cold, multi-platform, token asked for',
      cold(token, (n, mark) => `multi/app-${mark}-${n}:1`),
    ),
    named('revalidation', 'revalidation of a tag', async (cleanup) => {
      const resolve = startResolving(cleanup, { hosts: [healthy] })
      await resolve('multi/nginx:latest')
      const call = () => resolve('multi/nginx:latest', { refresh: true })
      return sample({ calls, warmUp: WARM_UP, requests, call })
    }),
    named(
      '1,000 callers',
      `1,000 callers at once, cold, multi-platform`,
      async (cleanup, round) => {
        const resolve = startResolving(cleanup, { hosts: [healthy] })
        const call = (index: number) => {
          const image = `multi/crowd:${roundTripMs}-${round}-${index}`
          return Promise.all(Array.from({ length: CALLERS }, () => resolve(image)))
        }
        return sample({ calls: Math.min(calls, 10), warmUp: 2, requests, call })
      },
    ),
  ]
}

/** Three registries, of which the first has its troubles. */
export function failoverPaths(
  registries: Registries,
  roundTripMs: number,
  share: number,
): readonly LatencyPath[] {
  const { blackHole, empty, healthy, second, third } = registries.way(roundTripMs)
  const { requests } = registries
  const calls = callsOf(roundTripMs, share)
  const steady = (kind: string, name: string, first: () => Promise<string>): LatencyPath => ({
    kind,
    name,
    run: async (cleanup, round) => {
      const hosts = [await first(), second, third]
      const resolve = startResolving(cleanup, { hosts })
      const call = (n: number) => resolve(`multi/app:${kind}-${round}-${n}`)
      return sample({ calls, warmUp: WARM_UP, requests, call })
    },
  })
  const dead = (
    kind: string,
    name: string,
    run: (call: (index: number) => Promise<unknown>) => Promise<Sample>,
  ): LatencyPath => ({
    kind,
    name,
    run: (cleanup, round) => {
      const resolve = startResolving(cleanup, { hosts: [blackHole, second, third] })
      return run((index) => resolve(`multi/app:${kind.replaceAll(/\W/g, '')}-${round}-${index}`))
    },
  })
  return [
    steady('healthy', 'healthy', async () => healthy),
    steady('404', 'does not have it (404)', async () => empty),
    steady('refusing', 'refuses connections', refusingHost),
    dead('black hole, first', 'answers nothing: the first call', (call) =>
      sample({ calls: 1, requests, call }),
    ),
    dead('black hole, after', 'answers nothing: the calls after that', async (call) => {
      await call(0)
      return sample({ calls: AFTER_CALLS, requests, call: (index) => call(index + 1) })
    }),
    dead('black hole, again', 'answers nothing: the call that tries it again', async (call) => {
      await call(0)
      await delay(REST_MS)
      return sample({ calls: 1, requests, call: () => call(1) })
    }),
  ]
}

function callsOf(roundTripMs: number, share: number): number {
  return Math.ceil(Math.min(MOST_CALLS, WAITING_MS / Math.max(1, roundTripMs)) * share)
}
