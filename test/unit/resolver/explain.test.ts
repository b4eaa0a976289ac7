import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { explain } from '../../../src/resolver/explain.ts'
import { ResolveTrace } from '../../../src/resolver/trace.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { candidate, digestOf, entry, FakeHealth, nginx } from '../../support/resolver.ts'

const D = digestOf('d')

function scene(...names: string[]) {
  const clock = new FakeClock()
  const health = new FakeHealth()
  const candidates = names.map((name) =>
    candidate(name, {
      entry: entry(name, name.startsWith('pull') ? { capabilities: ['pull'] } : {}),
    }),
  )
  const trace = new ResolveTrace<{ readonly digest: string }>('nginx', candidates, health, clock)
  const of = (name: string) => {
    const found = candidates.find(({ registry }) => registry === name)
    assert.ok(found)
    return found
  }
  const tell = (winner?: string) =>
    explain(
      nginx(),
      trace,
      winner === undefined ? undefined : { candidate: of(winner), value: { digest: D } },
    )
  return { clock, health, trace, of, tell }
}

test('each candidate is reported in order, with when it was asked, the outcome, and why', async () => {
  const { clock, trace, of, tell } = scene('m1', 'm2', 'm3', 'm4', 'pull-only', 'm5')
  trace.of(of('m1')).begin()
  await clock.advance(20)
  trace.of(of('m1')).failed(new ResolveError('DENIED', 'm1: no', { status: 403 }))
  trace.of(of('m2')).begin()
  trace.of(of('m3')).begin()
  await clock.advance(30)
  trace.of(of('m3')).answered({ digest: digestOf('other') })
  trace.of(of('m2')).answered({ digest: D })
  trace.of(of('m4')).begin()
  trace.of(of('m4')).abandon('a better answer was there', false)
  trace.of(of('pull-only')).begin()
  trace.of(of('pull-only')).answered({ digest: D })

  const reports = tell('m2')

  assert.deepEqual(
    reports.map(({ registry, outcome, startedMs, ms, why, chosen }) => ({
      registry,
      outcome,
      startedMs,
      ms,
      why,
      chosen,
    })),
    [
      {
        registry: 'm1',
        outcome: 'denied',
        startedMs: 0,
        ms: 20,
        why: 'passed over: it refuses',
        chosen: false,
      },
      {
        registry: 'm2',
        outcome: 'ok',
        startedMs: 20,
        ms: 30,
        why: 'chosen: the best one that answered',
        chosen: true,
      },
      {
        registry: 'm3',
        outcome: 'ok',
        startedMs: 20,
        ms: 30,
        why: 'passed over: its tag points at another digest',
        chosen: false,
      },
      {
        registry: 'm4',
        outcome: 'canceled',
        startedMs: 50,
        ms: 0,
        why: 'given up: m2 answered first',
        chosen: false,
      },
      {
        registry: 'pull-only',
        outcome: 'ok',
        startedMs: 50,
        ms: 0,
        why: 'has what the tag points at; it is asked by digest alone',
        chosen: false,
      },
      {
        registry: 'm5',
        outcome: 'skipped',
        startedMs: undefined,
        ms: undefined,
        why: 'not needed: m2 answered first',
        chosen: false,
      },
    ],
  )
  assert.deepEqual(reports[0]?.error, { code: 'DENIED', message: 'm1: no' })
  assert.equal(reports[2]?.divergent, true)
  assert.equal(reports[4]?.reference, `pull-only/library/nginx@${D}`)
})

test('without an answer the reports say which candidates were not asked, and why', () => {
  const { health, trace, of, tell } = scene('m1', 'm2', 'pull-only')
  health.quiet.add('m1')
  trace.of(of('m1')).passOver()

  assert.deepEqual(
    tell().map(({ why, reference }) => `${reference} ${why}`),
    [
      'm1/library/nginx:latest not asked: it asked for a pause',
      'm2/library/nginx:latest not asked: it was over before',
      'pull-only/library/nginx not asked: it is asked by digest alone, and no registry said what the tag points at',
    ],
  )
})

test('the first twenty exchanges of a candidate are reported', () => {
  const { trace, of, tell } = scene('m1')
  trace.of(of('m1')).begin()
  const observe = trace.of(of('m1')).observer()

  for (let ms = 0; ms < 100; ms += 1) observe({ method: 'GET', url: 'https://m1/', ms })

  assert.equal(tell()[0]?.exchanges.length, 20)
})
