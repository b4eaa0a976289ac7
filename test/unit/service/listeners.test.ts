import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { Listeners } from '../../../src/service/listeners.ts'
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

test('a door that stays closed keeps no other one closed, and says why', async () => {
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

test('an open door that nobody can reach says why, for as long as that lasts', async () => {
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

test('a door that nobody keeps is closed', () => {
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

test('the waiting ends when the doors are closed for good', async () => {
  const { clock, doors, stuck } = scene()
  doors.keep('cri', stuck)
  const waiting = doors.settled(['cri'], 30_000)

  await doors.close()

  await waiting
  assert.equal(clock.pendingTimers, 0)
})

test('doors are closed in the reverse order of opening', async () => {
  const { closed, doors, opening } = scene()
  doors.keep('http', opening('http'))
  doors.keep('cri', opening('cri'))

  await doors.close()

  assert.deepEqual(closed, ['cri', 'http'])
})
