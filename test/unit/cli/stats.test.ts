import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatsResponse } from '../../../api/v1/stats.ts'
import { ResolveError } from '../../../src/errors.ts'
import { runCli } from '../../support/cli.ts'

const STATS: StatsResponse = {
  uptimeSeconds: 3_725,
  resolutions: { cache: 90, shared: 0, registry: 10, stale: 0, failed: 1 },
  cache: {
    hitRate: 0.9,
    hits: 88,
    misses: 10,
    coalesced: 2,
    stale: 0,
    negative: 0,
    revalidated: 3,
    evicted: 0,
    entries: 7,
  },
  latencies: [
    { source: 'cache', count: 90, p50Ms: 0.004, p99Ms: 0.09 },
    { source: 'stale', count: 0, p50Ms: null, p99Ms: null },
  ],
  pulls: { inFlight: 1, pulled: 5, failed: 0, passedOn: 2 },
  configuration: { generation: 2, loadedAt: '2026-01-31T12:00:00.000Z', lastReloadFailed: false },
}

test('stats shows what the running service has counted', async () => {
  const asked: unknown[] = []
  const stats = async (files: unknown) => {
    asked.push(files)
    return STATS
  }

  const { code, out } = await runCli(['stats', '-f', 'x'], { stats })

  assert.equal(code, 0)
  assert.equal(
    out,
    [
      'running for    1 h 2 min',
      'configuration  generation 2, loaded 2026-01-31 12:00:00Z',
      'hit rate       90.0 % answered without a registry',
      'cache          7 entries; 88 hits, 10 misses, 2 shared',
      '               3 revalidated, 0 stale, 0 negative, 0 evicted',
      'pulls          5 done, 0 failed, 2 passed on, 1 in flight',
      '',
      'SOURCE  COUNT   P50    P99',
      'cache      90  4 µs  90 µs',
      'stale       0     -      -',
      '',
    ].join('\n'),
  )
  assert.deepEqual(asked, [{ file: 'x' }])
})

test('stats tells of a configuration that was refused', async () => {
  const configuration = { ...STATS.configuration, lastReloadFailed: true }

  const { out } = await runCli(['stats'], { stats: async () => ({ ...STATS, configuration }) })

  assert.match(out, /^configuration .*; the last change was refused: see `config check`$/m)
})

test('stats --json is the body of GET /stats', async () => {
  const { out } = await runCli(['stats', '--json'], { stats: async () => STATS })

  assert.deepEqual(JSON.parse(out), STATS)
})

test('stats without a service ends with 6', async () => {
  const stats = async () => {
    throw new ResolveError('UNAVAILABLE', 'no service answers at http://127.0.0.1:9430')
  }

  const { code, err } = await runCli(['stats'], { stats })

  assert.equal(code, 6)
  assert.equal(err, 'image-resolver: no service answers at http://127.0.0.1:9430\n')
})

test('stats --fleet shows who shares the store, and which nodes differ', async () => {
  const fleet = async () => [
    { node: 'a', version: '1.2.3', configuration: 'abcdef0123456789', ageMs: 2_000 },
    { node: 'b', version: '1.2.4', configuration: 'abcdef0123456789', ageMs: 61_000 },
  ]

  const { code, out } = await runCli(['stats', '--fleet'], { fleet })

  assert.equal(code, 0)
  assert.match(out, /^nodes +2 seen in the last hour\nversions +2\nconfigurations +1\n/)
  assert.match(out, /^a +1\.2\.3 +abcdef012345 +2 s ago$/m)
  const json = await runCli(['stats', '--fleet', '--json'], { fleet })
  assert.deepEqual(JSON.parse(json.out), await fleet())
})

test('stats tells of the store of a fleet, and that it is left alone', async () => {
  const shared = {
    leftAlone: false,
    lookups: { answer: 40, absence: 0, none: 2, left_alone: 0 },
    claims: { won: 3, waited: 4, lost: 0, given_up: 1 },
    signatureFailures: 0,
    commandP99Ms: 1,
  }

  const used = await runCli(['stats'], { stats: async () => ({ ...STATS, shared }) })
  const alone = { ...shared, leftAlone: true }
  const left = await runCli(['stats'], { stats: async () => ({ ...STATS, shared: alone }) })

  assert.match(used.out, /^fleet +40 answers of other nodes, 3 asked for all, 1 waited in vain$/m)
  assert.match(left.out, /^fleet +the shared store is left alone: see the log$/m)
})
