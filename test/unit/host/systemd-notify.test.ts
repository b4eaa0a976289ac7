import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createNotifier } from '../../../src/host/systemd.ts'

const SOCKET = '/run/systemd/notify'

function startNotifier(env: NodeJS.ProcessEnv, fails = false) {
  const sent: string[] = []
  const warnings: unknown[] = []
  const notifier = createNotifier({
    env,
    pid: 7,
    log: { warn: (...line: unknown[]) => warnings.push(line) },
    send: async (socket, assignments) => {
      sent.push([socket, ...assignments].join(' '))
      if (fails) throw new Error('no such program')
    },
    nowMicroseconds: () => 123n,
  })
  return { notifier, sent, warnings }
}

function mockIntervals(t: TestContext): void {
  t.mock.timers.enable({ apis: ['setInterval'] })
}

test('the service manager hears of readiness, reloading and the end, in order', async () => {
  const { notifier, sent } = startNotifier({ NOTIFY_SOCKET: SOCKET })

  void notifier.ready('cri and http\nare served')
  await notifier.reloading(async () => {
    sent.push('work')
  })
  await notifier.stopping()
  await notifier.ready('too late')

  assert.deepEqual(sent, [
    `${SOCKET} READY=1 STATUS=cri and http are served`,
    `${SOCKET} RELOADING=1 MONOTONIC_USEC=123`,
    'work',
    `${SOCKET} READY=1`,
    `${SOCKET} STOPPING=1 STATUS=ending`,
  ])
})

test('a reload while the servers are still closed is not announced', async () => {
  const { notifier, sent } = startNotifier({ NOTIFY_SOCKET: SOCKET })
  let isDone = false

  await notifier.reloading(async () => {
    isDone = true
  })

  assert.equal(isDone, true)
  assert.deepEqual(sent, [])
})

test('without a service manager nothing is sent', async () => {
  const { notifier, sent } = startNotifier({})

  await notifier.ready('served')
  await notifier.stopping()

  assert.deepEqual(sent, [])
})

test('the watchdog is fed at half its time, from readiness to the end', async (t) => {
  mockIntervals(t)
  const { notifier, sent } = startNotifier({ NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '60000000' })

  t.mock.timers.tick(60_000)
  await notifier.ready('served')
  t.mock.timers.tick(29_999)
  assert.equal(sent.length, 1)
  t.mock.timers.tick(30_001)
  await notifier.stopping()
  t.mock.timers.tick(60_000)

  assert.deepEqual(sent.slice(1, 3), [`${SOCKET} WATCHDOG=1`, `${SOCKET} WATCHDOG=1`])
  assert.equal(sent.length, 4)
})

test('a watchdog for another process is not fed', async (t) => {
  mockIntervals(t)
  const env = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '1000000', WATCHDOG_PID: '8' }
  const { notifier, sent } = startNotifier(env)

  await notifier.ready('served')
  t.mock.timers.tick(10_000)
  await notifier.stopping()

  assert.equal(sent.length, 2)
})

test('a manager that cannot be reached is a warning, once, and no failure', async () => {
  const { notifier, warnings } = startNotifier({ NOTIFY_SOCKET: SOCKET }, true)

  await notifier.ready('served')
  await notifier.stopping()

  assert.equal(warnings.length, 1)
})

test('children do not see the socket of the service manager', () => {
  const env = { NOTIFY_SOCKET: SOCKET, WATCHDOG_USEC: '1', WATCHDOG_PID: '7', PATH: '/bin' }

  startNotifier(env)

  assert.deepEqual(env, { PATH: '/bin' })
})
