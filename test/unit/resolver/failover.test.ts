import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Ticket } from '../../../src/concurrency/semaphore.ts'
import { ResolveError } from '../../../src/errors.ts'
import type { Exchange } from '../../../src/registry/image.ts'
import type { Ask, Authorize } from '../../../src/resolver/candidate-request.ts'
import { askInOrder, type Found } from '../../../src/resolver/failover.ts'
import { ResolveTrace } from '../../../src/resolver/trace.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { candidate, FakeHealth } from '../../support/resolver.ts'

const LIMITS = { hedgeDelayMs: 300, probeBudgetMs: 2_000 }

interface Question {
  readonly registry: string
  readonly signal: AbortSignal
  readonly ticket: Ticket
  answer(value: string): void
  fail(error: ResolveError): void
  readonly isHedge: boolean
  readonly promoted: (() => Promise<void>) | undefined
}

class Scene {
  readonly clock = new FakeClock()
  readonly health = new FakeHealth()
  readonly controller = new AbortController()
  authorize: Authorize | undefined
  /** Registries that queue every request. */
  readonly busy: Set<string>
  /** Well-known public registries, and origins that are not configured. */
  readonly publicOnes = new Set<string>()
  hedgeDelayMs = LIMITS.hedgeDelayMs
  readonly questions: Question[] = []
  trace = new ResolveTrace<string>('nginx', [], this.health, this.clock)
  result: Promise<Found<string>> = Promise.reject(new Error('not begun'))

  constructor(...busy: string[]) {
    this.busy = new Set(busy)
    this.result.catch(() => {})
  }

  /** Reports an exchange of the first candidate. */
  exchanged(exchange: Exchange): void {
    this.trace.traces[0]?.observer()(exchange)
  }

  begin(...registries: string[]): this {
    const ask: Ask<string> = ({ registry }, { signal, ticket = {} }, promoted) =>
      new Promise((resolve, reject) => {
        const question = { registry, signal, ticket, answer: resolve, fail: reject }
        this.questions.push({ ...question, promoted, isHedge: promoted !== undefined })
        if (this.busy.has(registry)) ticket.waiting?.()
      })
    const candidates = registries.map((name) =>
      candidate(name, { isPrivate: !this.publicOnes.has(name) }),
    )
    this.trace = new ResolveTrace<string>('nginx', candidates, this.health, this.clock)
    this.result = askInOrder(candidates, ask, {
      limits: { ...LIMITS, hedgeDelayMs: this.hedgeDelayMs },
      trace: this.trace,
      clock: this.clock,
      signal: this.controller.signal,
      ...(this.authorize !== undefined && { authorize: this.authorize }),
    })
    this.result.catch(() => {})
    return this
  }

  get asked(): string[] {
    return this.questions.map(({ registry }) => registry)
  }

  question(registry: string): Question {
    const found = this.questions.findLast((question) => question.registry === registry)
    assert.ok(found, `${registry} was not asked`)
    return found
  }

  async failure(): Promise<ResolveError> {
    const error = await this.result.then(
      () => assert.fail('the failover found something'),
      (thrown: unknown) => thrown,
    )
    assert.ok(error instanceof ResolveError)
    return error
  }
}

const notFound = (): ResolveError =>
  new ResolveError('MANIFEST_UNKNOWN', 'not found', { status: 404 })
const refused = (): ResolveError => new ResolveError('UNAVAILABLE', 'connect ECONNREFUSED')

test('only the first candidate is asked when it answers at once', async () => {
  const scene = new Scene().begin('m1', 'm2')

  scene.question('m1').answer('here')
  const found = await scene.result

  assert.equal(found.candidate.registry, 'm1')
  assert.equal(found.value, 'here')
  assert.deepEqual(scene.asked, ['m1'])
  assert.deepEqual(scene.health.told, ['m1 ok'])
  assert.equal(scene.clock.pendingTimers, 0)
})

test('the next candidate is asked as soon as one fails', async () => {
  const scene = new Scene().begin('m1', 'm2')

  scene.question('m1').fail(refused())
  await settle()
  scene.question('m2').answer('there')
  const found = await scene.result

  assert.equal(found.candidate.registry, 'm2')
  assert.deepEqual(
    scene.trace.attempts.map(({ registry, outcome }) => `${registry} ${outcome}`),
    ['m1 unreachable', 'm2 ok'],
  )
  assert.deepEqual(scene.health.told, ['m1 failed', 'm2 ok'])
})

test('the next candidate starts after the hedge delay when nothing was heard', async () => {
  const scene = new Scene().begin('m1', 'm2')

  await scene.clock.advance(299)
  assert.deepEqual(scene.asked, ['m1'])
  await scene.clock.advance(1)
  assert.deepEqual(scene.asked, ['m1', 'm2'])

  scene.question('m1').answer('here')
  assert.equal((await scene.result).candidate.registry, 'm1')
  assert.ok(scene.question('m2').signal.aborted)
})

test('a better candidate is preferred while it is inside its probe budget', async () => {
  const scene = new Scene().begin('m1', 'm2')

  await scene.clock.advance(300)
  scene.question('m2').answer('there')
  await scene.clock.advance(1_000)
  scene.question('m1').answer('here')

  const found = await scene.result
  assert.equal(found.value, 'here')
  assert.deepEqual(
    scene.trace.traces.map(({ answer }) => answer),
    ['here', 'there'],
  )
})

test('a better candidate that lets its budget pass loses, and is remembered as failed', async () => {
  const scene = new Scene().begin('m1', 'm2')

  await scene.clock.advance(300)
  scene.question('m2').answer('there')
  await scene.clock.advance(1_700)

  const found = await scene.result
  assert.equal(found.value, 'there')
  assert.ok(scene.question('m1').signal.aborted)
  assert.deepEqual(scene.health.told, ['m2 ok', 'm1 failed'])
  assert.deepEqual(
    scene.trace.attempts.map(({ registry, outcome, ms }) => `${registry} ${outcome} ${ms}`),
    ['m1 timeout 2000', 'm2 ok 0'],
  )
})

test('a late candidate still wins when no other one has the image', async () => {
  const scene = new Scene().begin('m1', 'm2')

  await scene.clock.advance(2_500)
  scene.question('m2').fail(notFound())
  await settle()
  scene.question('m1').answer('here')

  assert.equal((await scene.result).value, 'here')
})

test('a resting registry is passed over', async () => {
  const scene = new Scene()
  scene.health.resting.add('m1')

  scene.begin('m1', 'm2')
  scene.question('m2').answer('there')

  await scene.result
  assert.deepEqual(scene.asked, ['m2'])
  assert.deepEqual(
    scene.trace.attempts.map(({ registry, outcome }) => `${registry} ${outcome}`),
    ['m1 skipped', 'm2 ok'],
  )
})

test('a resting registry is no target for hedging', async () => {
  const scene = new Scene()
  scene.health.resting.add('m1')

  scene.begin('m1', 'm2')
  await scene.clock.advance(1_500)

  assert.deepEqual(scene.asked, ['m2'])
})

test('a registry with an open breaker is asked after all when no other one has the image', async () => {
  const scene = new Scene()
  scene.health.resting.add('m1')

  scene.begin('m1', 'm2')
  scene.question('m2').fail(notFound())
  await settle()
  scene.question('m1').answer('here')

  assert.equal((await scene.result).value, 'here')
})

test('as a last resort a resting registry gets its probe budget and no more', async () => {
  const scene = new Scene()
  scene.health.resting.add('m1')

  scene.begin('m1')
  await scene.clock.advance(2_000)

  const error = await scene.failure()
  assert.equal(error.code, 'DEADLINE_EXCEEDED')
  assert.ok(scene.question('m1').signal.aborted)
})

test('a registry on trial is asked beside the next one, which need not wait for it', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2', 'm3')
  const together = scene.asked

  scene.question('m2').answer('b')
  const found = await scene.result

  assert.deepEqual(together, ['m1', 'm2'])
  assert.equal(found.candidate.registry, 'm2')
  assert.deepEqual(
    scene.trace.attempts.map(({ registry, outcome }) => [registry, outcome]),
    [
      ['m1', 'canceled'],
      ['m2', 'ok'],
    ],
  )
})

test('the outcome of a trial reaches the health of registries after the failover is over', async () => {
  for (const outcome of ['answers', 'fails', 'is silent'] as const) {
    const scene = new Scene()
    scene.health.trying.add('m1')
    scene.begin('m1', 'm2')
    scene.question('m2').answer('b')
    await scene.result

    if (outcome === 'answers') scene.question('m1').answer('a')
    if (outcome === 'fails') scene.question('m1').fail(refused())
    await settle()
    await scene.clock.advance(2_000)

    const told = outcome === 'answers' ? 'm1 ok' : 'm1 failed'
    assert.deepEqual(scene.health.told, ['m2 ok', told], outcome)
    assert.equal(scene.question('m1').signal.aborted, outcome === 'is silent')
    assert.equal(scene.trace.attempts[0]?.outcome, 'canceled')
  }
})

test('a registry on trial that answers first is the better one again', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2')

  scene.question('m1').answer('a')

  assert.equal((await scene.result).candidate.registry, 'm1')
})

test('a trial that fails starts no further candidate', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2', 'm3')

  scene.question('m1').fail(refused())
  await settle()

  assert.deepEqual(scene.asked, ['m1', 'm2'])
})

test('a trial is awaited when no other registry has the image, and no longer than its budget', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2')

  scene.question('m2').fail(refused())
  await scene.clock.advance(2_000)
  const error = await scene.failure()

  assert.equal(error.code, 'DEADLINE_EXCEEDED')
  assert.deepEqual(scene.health.told, ['m2 failed', 'm1 failed'])
})

test('a registry on trial that was silent lately is not waited for beside a no, but for a moment', async () => {
  const silent = new Scene()
  silent.health.trying.add('m1')
  silent.health.silent.add('m1')
  silent.begin('m1', 'm2')
  const back = new Scene()
  back.health.trying.add('m1')
  back.health.silent.add('m1')
  back.begin('m1', 'm2')

  for (const scene of [silent, back]) scene.question('m2').fail(notFound())
  await back.clock.advance(250)
  back.question('m1').answer('here')
  await silent.clock.advance(300)

  assert.equal((await back.result).value, 'here')
  const { code, attempts } = await silent.failure()
  assert.equal(code, 'MANIFEST_UNKNOWN')
  assert.equal(attempts[0]?.message, 'not waited for: it failed lately')
  silent.question('m1').answer('late')
  await settle()
  assert.deepEqual(silent.health.told, ['m2 ok', 'm1 ok'])
})

test('a registry that timed out is no last resort where another one denied the image; a dead one is', async () => {
  const scene = new Scene()
  for (const name of ['dead', 'silent']) scene.health.resting.add(name)
  scene.health.silent.add('silent')
  scene.begin('dead', 'silent', 'm3')

  scene.question('m3').fail(notFound())
  await settle()
  scene.question('dead').fail(refused())

  const { code, message } = await scene.failure()
  assert.equal(code, 'MANIFEST_UNKNOWN')
  assert.match(message, /dead: connect.*; silent: not asked: it failed a moment ago; m3: not found/)
  assert.deepEqual(scene.asked, ['m3', 'dead'])
})

test('an address that is never dialled is no registry that said no', async () => {
  const scene = new Scene()
  scene.health.resting.add('dead')
  scene.begin('dead', 'origin')

  const undialled = new ResolveError('DENIED', 'a private address', { step: 'connect' })
  scene.question('origin').fail(undialled)
  await settle()
  scene.question('dead').fail(refused())

  assert.equal((await scene.failure()).code, 'UNAVAILABLE')
})

test('without a denial a registry that timed out is asked as a last resort too', async () => {
  const scene = new Scene()
  scene.health.resting.add('silent')
  scene.health.silent.add('silent')
  scene.begin('silent', 'm2')

  scene.question('m2').fail(refused())
  await settle()
  scene.question('silent').answer('here')

  assert.equal((await scene.result).value, 'here')
})

test('only a configured private registry is asked beside a silent one, and no further than a HEAD', async () => {
  const scene = new Scene()
  scene.publicOnes.add('hub')
  scene.begin('m1', 'm2', 'hub', 'm3')

  await scene.clock.advance(300)
  const hedge = scene.question('m2')
  let isPromoted = false
  void hedge.promoted?.().then(() => {
    isPromoted = true
  })
  await scene.clock.advance(1_699)
  assert.deepEqual(scene.asked, ['m1', 'm2'])
  assert.deepEqual([scene.question('m1').isHedge, hedge.isHedge, isPromoted], [false, true, false])
  await scene.clock.advance(1)

  assert.equal(isPromoted, true)
  hedge.answer('there')
  assert.equal((await scene.result).value, 'there')
  assert.deepEqual(scene.asked, ['m1', 'm2'])
})

test('a public registry is asked when the one before it said no, or its budget is over', async () => {
  const late = new Scene()
  const no = new Scene()
  for (const scene of [late, no]) {
    scene.publicOnes.add('hub')
    scene.begin('m1', 'hub')
  }

  await late.clock.advance(1_999)
  const before = [...late.asked]
  await late.clock.advance(1)
  no.question('m1').fail(notFound())
  await settle()

  assert.deepEqual(before, ['m1'])
  for (const scene of [late, no]) {
    assert.deepEqual(scene.asked, ['m1', 'hub'])
    assert.equal(scene.question('hub').isHedge, false)
  }
})

test('a hedge goes on when the one before it fails, and the next is not asked while it does', async () => {
  const scene = new Scene().begin('m1', 'm2', 'm3')
  await scene.clock.advance(300)
  const promotion = scene.question('m2').promoted?.()

  await scene.clock.advance(400)
  scene.question('m1').fail(refused())
  await promotion
  await scene.clock.advance(299)
  assert.deepEqual(scene.asked, ['m1', 'm2'])
  scene.question('m2').answer('there')

  assert.equal((await scene.result).value, 'there')
})

test('hedge delay and budget count from the last progress', async () => {
  const scene = new Scene().begin('m1', 'm2')
  for (let requests = 0; requests < 20; requests += 1) {
    await scene.clock.advance(299)
    scene.exchanged({ method: 'GET', url: 'https://m1/', status: 200, ms: 299 })
  }

  assert.deepEqual(scene.asked, ['m1'])
  await scene.clock.advance(300)
  assert.deepEqual(scene.asked, ['m1', 'm2'])
  scene.question('m2').answer('there')
  await scene.clock.advance(1_699)
  assert.equal(scene.trace.attempts.length, 1)
  scene.question('m1').answer('here')
  assert.equal((await scene.result).value, 'here')
})

test('a request that was not answered is no progress', async () => {
  const scene = new Scene().begin('m1', 'm2')
  await scene.clock.advance(200)

  scene.exchanged({ method: 'GET', url: 'https://m1/', ms: 200 })
  await scene.clock.advance(100)

  assert.deepEqual(scene.asked, ['m1', 'm2'])
})

test('without a hedge delay no candidate is asked beside a silent one', async () => {
  const scene = new Scene()
  scene.hedgeDelayMs = 0
  scene.begin('m1', 'm2')

  await scene.clock.advance(1_999)
  assert.deepEqual(scene.asked, ['m1'])
  await scene.clock.advance(1)
  assert.deepEqual(scene.asked, ['m1', 'm2'])
})

test('a hedge whose registry has a line does not keep the next from its turn', async () => {
  const scene = new Scene('m2').begin('m1', 'm2', 'm3')

  await scene.clock.advance(300)
  scene.question('m1').fail(refused())
  await settle()

  assert.deepEqual(scene.asked, ['m1', 'm2', 'm3'])
})

test('a registry on trial without another candidate is asked as usual', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1')

  await scene.clock.advance(5_000)
  scene.question('m1').answer('a')

  assert.equal((await scene.result).value, 'a')
})

test('a registry that asked for a pause is left alone even as a last resort', async () => {
  const scene = new Scene()
  scene.health.quiet.add('m1')

  scene.begin('m1', 'm2')
  scene.question('m2').fail(notFound())

  const error = await scene.failure()
  assert.equal(error.code, 'TOOMANYREQUESTS')
  assert.equal(error.retryAfterMs, 5_000)
  assert.deepEqual(scene.asked, ['m2'])
})

test('not found is the answer only when every registry said so', async () => {
  const everywhere = new Scene().begin('m1', 'm2')
  everywhere.question('m1').fail(notFound())
  await settle()
  everywhere.question('m2').fail(notFound())
  const broken = new Scene().begin('m1', 'm2')
  broken.question('m1').fail(refused())
  await settle()
  broken.question('m2').fail(notFound())

  assert.equal((await everywhere.failure()).code, 'MANIFEST_UNKNOWN')
  assert.equal((await broken.failure()).code, 'UNAVAILABLE')
})

test('the error of a failed resolution names each registry and why', async () => {
  const scene = new Scene().begin('m1', 'm2')
  scene.question('m1').fail(refused())
  await settle()
  scene.question('m2').fail(new ResolveError('DENIED', 'denied by policy', { status: 403 }))

  const error = await scene.failure()

  assert.equal(error.message, 'nginx: m1: connect ECONNREFUSED; m2: denied by policy')
  assert.deepEqual(
    error.attempts.map(({ registry, outcome, status }) => ({ registry, outcome, status })),
    [
      { registry: 'm1', outcome: 'unreachable', status: undefined },
      { registry: 'm2', outcome: 'denied', status: 403 },
    ],
  )
})

test('a registry that names itself is not named twice', async () => {
  const scene = new Scene().begin('m1')
  scene.question('m1').fail(new ResolveError('MANIFEST_UNKNOWN', 'm1: nginx is not there (404)'))

  assert.equal((await scene.failure()).message, 'nginx: m1: nginx is not there (404)')
})

test('a refusal says nothing against the registry, a rate limit parks it', async () => {
  const scene = new Scene().begin('m1', 'm2')
  scene.question('m1').fail(new ResolveError('UNAUTHORIZED', 'no', { status: 401 }))
  await settle()
  scene.question('m2').fail(new ResolveError('TOOMANYREQUESTS', 'slow', { retryAfterMs: 7_000 }))

  const error = await scene.failure()

  assert.deepEqual(scene.health.told, ['m1 ok', 'm2 failed 7000'])
  assert.equal(error.code, 'TOOMANYREQUESTS')
  assert.equal(error.retryAfterMs, 7_000)
})

test('a caller that leaves ends all probes and starts no other', async () => {
  const scene = new Scene().begin('m1', 'm2', 'm3')
  await scene.clock.advance(300)

  scene.controller.abort()

  assert.equal((await scene.failure()).code, 'CANCELED')
  assert.ok(scene.questions.every(({ signal }) => signal.aborted))
  scene.question('m1').fail(refused())
  await scene.clock.advance(10_000)
  assert.deepEqual(scene.asked, ['m1', 'm2'])
  assert.equal(scene.clock.pendingTimers, 0)
})

test('a caller that left before the start asks no registry', async () => {
  const scene = new Scene()
  scene.controller.abort()

  scene.begin('m1')

  assert.equal((await scene.failure()).code, 'CANCELED')
  assert.deepEqual(scene.asked, [])
})

test('a deadline is distinguished from a caller that left', async () => {
  const scene = new Scene().begin('m1')

  scene.controller.abort(new ResolveError('DEADLINE_EXCEEDED', 'out of time'))

  const error = await scene.failure()
  assert.equal(error.code, 'DEADLINE_EXCEEDED')
  assert.equal(error.attempts.length, 1)
})

test('a candidate is asked when its gate opens, and has its whole budget then', async () => {
  const scene = new Scene()
  scene.authorize = ({ registry }) =>
    registry === 'm1'
      ? new Promise((resolve) => scene.clock.after(1_500, () => resolve(undefined)))
      : undefined

  scene.begin('m1', 'm2')
  await scene.clock.advance(300)
  scene.question('m2').answer('there')
  await scene.clock.advance(1_200)
  assert.deepEqual(scene.asked, ['m2', 'm1'])
  await scene.clock.advance(1_999)
  scene.question('m1').answer('here')

  assert.equal((await scene.result).value, 'here')
})

test('a candidate whose gate stays closed is skipped, and nothing is said against it', async () => {
  const scene = new Scene()
  scene.authorize = ({ registry }) =>
    registry === 'm1'
      ? Promise.reject(new ResolveError('UNAUTHORIZED', 'not asked: no'))
      : undefined

  scene.begin('m1', 'm2')
  await settle()
  scene.question('m2').fail(notFound())
  const error = await scene.failure()

  assert.deepEqual(scene.asked, ['m2'])
  assert.equal(error.code, 'UNAUTHORIZED')
  assert.deepEqual(scene.health.told, ['m2 ok'])
  assert.deepEqual(
    scene.trace.attempts.map(({ outcome, message }) => `${outcome} ${message}`),
    ['skipped not asked: no', 'not_found not found'],
  )
})

test('a registry with a line is not the one to wait for: the next one is asked, and its answer taken', async () => {
  const scene = new Scene('m1')

  scene.begin('m1', 'm2')
  await scene.clock.advance(300)
  scene.question('m2').answer('there')
  const found = await scene.result

  assert.equal(found.value, 'there')
  assert.ok(scene.question('m1').signal.aborted)
  assert.deepEqual(scene.health.told, ['m2 ok'])
  assert.deepEqual(scene.trace.attempts[0], {
    registry: 'm1',
    step: 'connect',
    outcome: 'skipped',
    ms: 0,
    message: 'not asked: waited 0.3 s in line, then a better answer was there',
  })
})

test('hedge delay, budget and latency of an attempt count from its admission', async () => {
  const scene = new Scene('m1').begin('m1', 'm2')

  await scene.clock.advance(200)
  scene.question('m1').ticket.entered?.()
  await scene.clock.advance(299)
  assert.deepEqual(scene.asked, ['m1'])
  await scene.clock.advance(1)
  scene.question('m2').answer('there')
  await scene.clock.advance(1_699)
  scene.question('m1').answer('here')

  assert.equal((await scene.result).value, 'here')
  assert.equal(scene.trace.attempts[0]?.ms, 1_999)
})

test('an attempt that uses up its budget after its admission is late', async () => {
  const scene = new Scene('m1').begin('m1', 'm2')

  await scene.clock.advance(5_000)
  scene.question('m1').ticket.entered?.()
  scene.question('m2').answer('there')
  await scene.clock.advance(2_000)

  assert.equal((await scene.result).value, 'there')
  assert.deepEqual(scene.health.told, ['m2 ok', 'm1 failed'])
})

test('an attempt that is queued again keeps the rest of its budget', async () => {
  const scene = new Scene().begin('m1', 'm2')
  scene.exchanged({
    method: 'HEAD',
    url: 'https://m1/',
    ms: 1_500,
  })

  await scene.clock.advance(1_500)
  scene.question('m1').ticket.waiting?.()
  await scene.clock.advance(10_000)
  scene.question('m1').ticket.entered?.()
  scene.question('m2').answer('there')
  await scene.clock.advance(499)
  scene.question('m1').answer('here')

  assert.equal((await scene.result).value, 'here')
  assert.equal(scene.trace.attempts[0]?.ms, 1_999)
})

test('a queued request is awaited when no other registry has the image, and named when time is up', async () => {
  const scene = new Scene('m1').begin('m1', 'm2')
  await scene.clock.advance(300)
  scene.question('m2').fail(notFound())
  await scene.clock.advance(9_700)

  scene.controller.abort(new ResolveError('DEADLINE_EXCEEDED', 'out of time'))

  const { code, message } = await scene.failure()
  assert.equal(code, 'DEADLINE_EXCEEDED')
  assert.equal(
    message,
    'nginx: out of time; m1: waited 10.0 s in line; so many questions were put at once; ask again, or fewer at a time',
  )
  assert.deepEqual(scene.health.told, ['m2 ok'])
})

test('at a registry of last resort a request is queued no longer than its budget', async () => {
  const scene = new Scene('m1')
  scene.health.resting.add('m1')

  scene.begin('m1')
  await scene.clock.advance(2_000)

  const { code, message } = await scene.failure()
  assert.equal(code, 'UNAVAILABLE')
  assert.equal(
    message,
    'nginx: m1: not asked: waited 2.0 s in line, then given up: it failed a moment ago',
  )
  assert.deepEqual(scene.health.told, [])
})

test('a request that is admitted after its registry failed is not sent', async () => {
  const scene = new Scene('m1').begin('m1', 'm2')
  await scene.clock.advance(100)

  scene.health.resting.add('m1')
  scene.question('m1').ticket.entered?.()
  const left = scene.question('m1').signal.aborted
  scene.question('m2').fail(notFound())
  await settle()

  assert.ok(left)
  assert.deepEqual(scene.asked, ['m1', 'm2', 'm1'])
  scene.question('m1').answer('as a last resort')
  assert.equal((await scene.result).value, 'as a last resort')
})

test('a trial that is still queued at the end is given up', async () => {
  const scene = new Scene('m1')
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2')

  scene.question('m2').answer('there')
  await scene.result

  assert.ok(scene.question('m1').signal.aborted)
  assert.deepEqual(scene.health.told, ['m2 ok'])
  assert.equal(scene.clock.pendingTimers, 0)
})

test('a hedge that is admitted after its promotion goes on, and holds back no worse answer', async () => {
  const scene = new Scene('m2').begin('m1', 'm2', 'm3')
  await scene.clock.advance(300)
  scene.question('m1').fail(refused())
  await settle()

  scene.question('m2').ticket.entered?.()
  const promotion = scene.question('m2').promoted?.()
  scene.question('m3').answer('there')
  await promotion
  scene.question('m2').fail(notFound())

  assert.equal((await scene.result).value, 'there')
})

test('a hedge that finds it after the walk is over asks for nothing more', async () => {
  const scene = new Scene().begin('m1', 'm2')
  await scene.clock.advance(300)
  scene.question('m1').answer('here')
  await scene.result
  let isPromoted = false

  void scene
    .question('m2')
    .promoted?.()
    .then(() => {
      isPromoted = true
    })
  await scene.clock.advance(20_000)

  assert.equal(isPromoted, false)
  assert.equal(scene.clock.pendingTimers, 0)
})

test('a trial that would be queued after the end is given up', async () => {
  const scene = new Scene()
  scene.health.trying.add('m1')
  scene.begin('m1', 'm2')
  scene.question('m2').answer('there')
  await scene.result

  const before = scene.question('m1').signal.aborted
  scene.question('m1').ticket.waiting?.()

  assert.deepEqual([before, scene.question('m1').signal.aborted], [false, true])
  assert.equal(scene.clock.pendingTimers, 0)
})
