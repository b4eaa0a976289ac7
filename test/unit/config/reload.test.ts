import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { ConfigWatch } from '../../../src/config/watch.ts'
import { Metrics } from '../../../src/telemetry/counters.ts'
import { FakeClock } from '../../support/fake-clock.ts'

function parse(text: string, file: string | undefined = '/etc/x.yaml') {
  return parseConfig(text, { file, socketExists: () => false, env: {} })
}

/** A service that was started with a text, which the test changes. */
function scene(start: string, file?: string | null) {
  const clock = new FakeClock()
  const signals = new EventEmitter()
  const metrics = new Metrics()
  const state = { text: start, announced: 0 }
  const told: string[] = []
  const put: Config[] = []
  const lines: { readonly fields?: readonly string[] }[] = []
  const log = (fields: object | string, message?: string): void => {
    told.push(message ?? String(fields))
    if (typeof fields === 'object') lines.push(fields)
  }
  const started = file === null ? parseConfig('', { file: undefined }) : parse(start)
  const reload = new ConfigWatch({
    started,
    load: async () => parse(state.text),
    core: { metrics, reconfigure: (config) => void put.push(config) },
    announce: async (work) => {
      state.announced += 1
      await work()
    },
    clock,
    logger: { info: log, warn: log, error: log } as never,
    signals,
  })
  reload.start()
  const hangUp = async (): Promise<void> => {
    signals.emit('SIGHUP', 'SIGHUP')
    await clock.advance(1_000)
  }
  return { clock, hangUp, lines, metrics, put, reload, signals, state, told }
}

test('a changed file is in force after its interval, or at once on SIGHUP', async () => {
  const { clock, hangUp, put, reload, state } = scene('onResolveError: passthrough\n')

  state.text = 'onResolveError: reject\n'
  await clock.advance(16_000)
  assert.equal(reload.config.onResolveError, 'reject')
  assert.equal(state.announced, 0)
  state.text = 'mirrorsOnly: [docker.io]\n'
  await hangUp()

  assert.deepEqual(reload.config.mirrorsOnly, ['docker.io'])
  assert.equal(state.announced, 1)
  assert.equal(put.length, 2)
})

test('what was opened at the start stays in force, and is reported as waiting for a restart', async () => {
  const { hangUp, lines, reload, state, told } = scene('shim: /run/a.sock\nreloadInterval: 15s\n')

  state.text =
    'shim: /run/b.sock\nreloadInterval: 1m\nhedgeDelay: 1s\nprobeBudget: 3s\nregistries: [{address: a.b, priority: -1}]\n'
  await hangUp()

  const { hedgeDelayMs, probeBudgetMs, registries, reloadIntervalMs, shim } = reload.config
  assert.deepEqual([hedgeDelayMs, probeBudgetMs], [1_000, 3_000])
  assert.deepEqual([shim, reloadIntervalMs], ['/run/a.sock', 60_000])
  assert.deepEqual(
    registries.map(({ name }) => name),
    ['a.b'],
  )
  assert.equal(told.length, 3)
  assert.match(told[0] ?? '', /priority/)
  assert.deepEqual(told.slice(1), ['these fields wait for a restart', 'configuration reloaded'])
  assert.deepEqual(lines.at(-2)?.fields, ['shim'])
})

test('the configuration that is shown is the one in force, field by field', async () => {
  const { hangUp, reload, state } = scene('http: {listen: "127.0.0.1:1"}\ncheck: {interval: 1h}\n')

  state.text =
    'resolvers: [{url: "http://127.0.0.1:9431"}]\ncache: {statsLogInterval: 2m, tagTTL: 7s}\nhttp: {listen: "127.0.0.1:2"}\ncheck: {interval: 2h}\n'
  await hangUp()

  const { cache, check, http, resolvers } = reload.config
  assert.equal(resolvers.length, 1)
  assert.equal(cache.tagTTLMs, 7_000)
  assert.equal(http.listen, '127.0.0.1:1')
  assert.equal(check.intervalMs, 3_600_000)
  assert.equal(cache.statsLogIntervalMs, parse('').config.cache.statsLogIntervalMs)
})

test('a bad file leaves everything as it is, and that is counted until it is good again', async () => {
  const { hangUp, metrics, put, reload, state } = scene('onResolveError: reject\n')

  state.text = 'adress: x\n'
  await hangUp()
  assert.equal(metrics.configuration.lastReloadFailed, true)
  assert.equal(reload.config.onResolveError, 'reject')
  assert.deepEqual(put, [])
  state.text = 'onResolveError: passthrough\n'
  await hangUp()

  assert.equal(metrics.configuration.lastReloadFailed, false)
  assert.equal(reload.config.onResolveError, 'passthrough')
})

test('without a file SIGHUP is answered, and ends nothing', async () => {
  const { hangUp, state, told } = scene('', null)

  await hangUp()

  assert.deepEqual(told, ['SIGHUP: there is no configuration file to read'])
  assert.equal(state.announced, 0)
})

test('after the end there is no signal listener, and nothing is read', async () => {
  const { clock, put, reload, signals, state } = scene('onResolveError: reject\n')

  reload.close()
  state.text = 'onResolveError: passthrough\n'
  await clock.advance(60_000)

  assert.deepEqual(signals.eventNames(), [])
  assert.equal(clock.pendingTimers, 0)
  assert.deepEqual(put, [])
})
