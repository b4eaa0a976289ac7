import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { ListenerReadiness, Listeners } from '../../../src/service/listeners.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'

function scene() {
  const clock = new FakeClock()
  const warnings: unknown[] = []
  const closed: string[] = []
  const doors = new Listeners({
    clock,
    logger: { warn: (fields: unknown) => warnings.push(fields) },
  })
  const opening = (name: string) => async () => ({ close: async () => closed.push(name) })
  const stuck = async (): Promise<never> => {
    throw new ResolveError('UNAVAILABLE', 'the runtime does not answer yet')
  }
  return { clock, closed, doors, opening, stuck, warnings }
}

test('a server that cannot be opened keeps no other one closed, and has its reason', async () => {
  const { doors, opening, stuck, warnings } = scene()

  doors.keep('cri', stuck)
  doors.keep('http', opening('http'))
  await settle()

  const reason = 'the runtime does not answer yet'
  assert.equal(doors.status(), `cri: ${reason}; http is open`)
  assert.deepEqual(doors.state('http'), { door: 'http', open: true })
  assert.deepEqual(doors.state('cri'), { door: 'cri', open: false, reason })
  assert.deepEqual(warnings, [{ door: 'cri', reason }])
  await doors.close()
})

test('an open server that no client can reach has its reason, for as long as that lasts', async () => {
  const { doors } = scene()
  let unavailableReason: string | undefined
  doors.keep('cri', async () => ({
    unavailableReason: () => unavailableReason,
    close: async () => {},
  }))
  await settle()
  assert.deepEqual(doors.state('cri'), { door: 'cri', open: true })

  unavailableReason = 'another instance serves /run/shim.sock'
  assert.deepEqual(doors.state('cri'), { door: 'cri', open: false, reason: unavailableReason })
  assert.equal(doors.status(), `cri: ${unavailableReason}`)

  unavailableReason = undefined
  assert.deepEqual(doors.state('cri'), { door: 'cri', open: true })
  await doors.close()
})

test('a server that waits to be opened is not opened any more once all are closed, and nothing is told', async () => {
  const { doors, closed, opening, warnings } = scene()
  let openCri = (): void => {}
  const criTried = new Promise<void>((resolve) => {
    openCri = resolve
  })
  doors.keep('http', async (signal) => {
    await criTried
    signal.throwIfAborted()
    return opening('http')()
  })
  doors.keep('cri', async () => {
    await criTried
    return opening('cri')()
  })

  const ending = doors.close()
  openCri()
  await ending

  assert.deepEqual(closed, ['cri'])
  assert.deepEqual(warnings, [])
})

test('a server that is not kept is closed', () => {
  const { doors } = scene()

  assert.deepEqual(doors.state('cri'), { door: 'cri', open: false })
  assert.equal(doors.status(), '')
})

test('those that are waited for are open when the waiting ends, and no timer is left', async () => {
  const { clock, doors, opening, stuck } = scene()
  doors.keep('http', opening('http'))
  doors.keep('cri', stuck)

  await doors.settled(['http'], 30_000)

  assert.equal(doors.state('http').open, true)
  assert.equal(clock.pendingTimers, 0)
  await doors.close()
})

test('the waiting ends when its time is up', async () => {
  const { clock, doors, stuck } = scene()
  doors.keep('cri', stuck)
  let ended = false
  const waiting = doors.settled(['cri'], 30_000).then(() => {
    ended = true
  })

  await clock.advance(29_999)
  assert.equal(ended, false)
  await clock.advance(1)

  await waiting
  assert.equal(doors.state('cri').open, false)
  await doors.close()
})

test('the waiting ends when the servers are closed for good', async () => {
  const { clock, doors, stuck } = scene()
  doors.keep('cri', stuck)
  const waiting = doors.settled(['cri'], 30_000)

  await doors.close()

  await waiting
  assert.equal(clock.pendingTimers, 0)
})

test('servers are closed in the reverse order of opening', async () => {
  const { closed, doors, opening } = scene()
  doors.keep('http', opening('http'))
  doors.keep('cri', opening('cri'))

  await doors.close()

  assert.deepEqual(closed, ['cri', 'http'])
})

const SOCKET = '/run/containerd/containerd.sock'
const HTTP = { door: 'http', open: true }

interface Scene {
  readonly criExpected?: boolean
  readonly socket?: string
  readonly isOpen?: boolean
  readonly answers?: boolean
}

function readiness({ criExpected = false, socket, isOpen = true, answers = true }: Scene) {
  const asked: string[] = []
  const cri = isOpen
    ? { door: 'cri', open: true }
    : { door: 'cri', open: false, reason: 'starting' }
  const listeners = { state: (name: string) => (name === 'http' ? HTTP : cri) }
  const found = new ListenerReadiness({
    listeners,
    criExpected,
    runtimeSocket: () => socket,
    runtimeAnswers: async () => {
      asked.push('runtime')
      return answers
    },
  })
  return { asked, check: () => found.check(), wanted: () => found.wanted() }
}

test('where nothing asks for CRI and no runtime is there HTTP alone counts', async () => {
  const { asked, check, wanted } = readiness({ isOpen: false })

  assert.deepEqual(wanted(), ['http'])
  assert.deepEqual(await check(), [HTTP])
  assert.deepEqual(asked, [])
})

test('a runtime that was found makes CRI count, and so does a file that asks for it', async () => {
  for (const scene of [{ socket: SOCKET }, { criExpected: true }]) {
    const { check, wanted } = readiness(scene)

    assert.deepEqual(wanted(), ['http', 'cri'])
    assert.deepEqual(await check(), [HTTP, { door: 'cri', open: true }])
  }
})

test('a closed CRI server has its reason, and no runtime is asked for it', async () => {
  const { asked, check } = readiness({ socket: SOCKET, isOpen: false, answers: false })

  assert.deepEqual(await check(), [HTTP, { door: 'cri', open: false, reason: 'starting' }])
  assert.deepEqual(asked, [])
})

test('an open server before a runtime that does not answer is not ready', async () => {
  const { check } = readiness({ socket: SOCKET, answers: false })

  const reason = `the runtime at ${SOCKET} does not answer`
  assert.deepEqual(await check(), [HTTP, { door: 'cri', open: false, reason }])
})

test('a server that opens, and a runtime that answers again, show at once', async () => {
  let isOpen = false
  let answers = false
  const cri = () => ({ door: 'cri', open: isOpen, ...(isOpen ? {} : { reason: 'starting' }) })
  const found = new ListenerReadiness({
    listeners: { state: (name) => (name === 'http' ? HTTP : cri()) },
    criExpected: true,
    runtimeSocket: () => SOCKET,
    runtimeAnswers: async () => answers,
    steady: () => 0,
  })
  const isReady = async () => (await found.check()).every(({ open }) => open)

  const seen = [await isReady()]
  isOpen = true
  seen.push(await isReady())
  answers = true
  seen.push(await isReady())

  assert.deepEqual(seen, [false, false, true])
})

test('the runtime is asked once for all checks within a tenth of a second', async () => {
  let asked = 0
  let now = 0
  const found = new ListenerReadiness({
    listeners: { state: (door) => ({ door, open: true }) },
    criExpected: true,
    runtimeSocket: () => SOCKET,
    runtimeAnswers: async () => {
      asked += 1
      await new Promise(setImmediate)
      return true
    },
    steady: () => now,
  })

  await Promise.all([found.check(), found.check()])
  now = 99
  await found.check()
  const soon = asked
  now = 200
  await found.check()

  assert.deepEqual([soon, asked], [1, 2])
})

test('a runtime that cannot be asked is asked again', async () => {
  let asked = 0
  const found = new ListenerReadiness({
    listeners: { state: (door) => ({ door, open: true }) },
    criExpected: true,
    runtimeSocket: () => SOCKET,
    runtimeAnswers: async () => {
      asked += 1
      if (asked === 1) throw new Error('internals')
      return true
    },
  })

  await assert.rejects(found.check(), /internals/)
  assert.ok((await found.check()).every(({ open }) => open))
})
