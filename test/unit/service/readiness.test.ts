import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ListenerReadiness } from '../../../src/service/listeners.ts'

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

test('a closed CRI door says why, and no runtime is asked for that', async () => {
  const { asked, check } = readiness({ socket: SOCKET, isOpen: false, answers: false })

  assert.deepEqual(await check(), [HTTP, { door: 'cri', open: false, reason: 'starting' }])
  assert.deepEqual(asked, [])
})

test('an open door before a runtime that does not answer is not ready', async () => {
  const { check } = readiness({ socket: SOCKET, answers: false })

  const reason = `the runtime at ${SOCKET} does not answer`
  assert.deepEqual(await check(), [HTTP, { door: 'cri', open: false, reason }])
})

test('what opens, and a runtime that answers again, are told at once', async () => {
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

test('the runtime is asked once for all who ask within a tenth of a second', async () => {
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
