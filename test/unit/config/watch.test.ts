import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { ConfigError } from '../../../src/config/diagnostics.ts'
import { parseConfig } from '../../../src/config/load.ts'
import { ConfigWatch } from '../../../src/config/watch.ts'
import { FakeClock } from '../../support/fake-clock.ts'

const FILE = '/etc/x.yaml'

/** A watch over a text that the test changes. */
function watched(start: string) {
  const clock = new FakeClock()
  const signals = new EventEmitter()
  const parse = (text: string) =>
    parseConfig(text, { file: FILE, socketExists: () => false, env: {} })
  const state = {
    clock,
    text: start as string | Error,
    broken: [] as readonly string[],
    reads: 0,
    duringRead: undefined as (() => void) | undefined,
    refuse: undefined as Error | undefined,
    applied: [] as Config[],
    errors: [] as { readonly problems: readonly string[] }[],
    warnings: [] as string[],
    infos: [] as string[],
    looks: [] as boolean[],
  }
  const configuration = {
    generation: 1,
    hash: '',
    loadedAt: 0,
    set lastReloadFailed(failed: boolean) {
      state.looks.push(!failed)
    },
  }
  const watch = new ConfigWatch({
    started: parse(start),
    load: async () => {
      state.reads++
      state.duringRead?.()
      if (state.text instanceof Error) throw state.text
      return { ...parse(state.text), broken: state.broken }
    },
    core: {
      metrics: { configuration },
      reconfigure: (config) => {
        if (state.refuse !== undefined) throw state.refuse
        state.applied.push(config)
      },
    },
    announce: (work) => work(),
    clock,
    logger: {
      info: (_: object, message?: string) => state.infos.push(message ?? ''),
      warn: (_: object, message?: string) => state.warnings.push(message ?? ''),
      error: (found: { readonly problems: readonly string[] }) => state.errors.push(found),
    } as unknown as ConstructorParameters<typeof ConfigWatch>[0]['logger'],
    signals,
  })
  watch.start()
  /** Each text for so many milliseconds. */
  const says = async (...texts: readonly (readonly [string | Error, number])[]): Promise<void> => {
    for (const [text, ms] of texts) {
      state.text = text
      await clock.advance(ms)
    }
  }
  const look = async (): Promise<void> => {
    signals.emit('SIGHUP')
    await clock.advance(1_000)
  }
  return { stop: () => watch.close(), look, says, state }
}

test('a changed file is handed over once, an unchanged one never', async () => {
  const { state } = watched('debug: false\n')

  await state.clock.advance(30_000)
  state.text = 'debug: true\nregistries: [{address: a.b, priority: -1}]\n'
  await state.clock.advance(45_000)

  assert.equal(state.reads, 5)
  assert.deepEqual(
    state.applied.map(({ debug }) => debug),
    [true],
  )
  assert.equal(state.warnings.length, 2)
  assert.deepEqual(state.infos, ['configuration reloaded'])
})

test('a bad file changes nothing, and its problems are logged once for as long as they stay', async () => {
  const { says, state } = watched('debug: false\n')

  await says(['adress: x\n', 60_000], ['timeout: 5\n', 60_000], ['debug: true\n', 60_000])

  assert.deepEqual(
    state.errors.map(({ problems }) => problems),
    [
      ['/etc/x.yaml:1: adress: unknown field; did you mean address?'],
      ['/etc/x.yaml:1: timeout: "5" has no unit; write 5s, 5m or 5h'],
    ],
  )
  assert.deepEqual(
    state.applied.map(({ debug }) => debug),
    [true],
  )
})

test('whether the content of the file is in force is reported after each change of it', async () => {
  const { says, state } = watched('debug: false\n')

  await says(['adress: x\n', 30_000], ['debug: false\n', 15_000], ['debug: true\n', 30_000])

  assert.deepEqual(state.looks, [false, true, true])
})

test('a file that is gone changes nothing, is logged once, and is read again when it is back', async () => {
  const { says, state } = watched('debug: false\n')
  const gone = new ConfigError(FILE, [{ line: 0, path: '', message: 'there is no such file' }])

  await says([gone, 60_000], ['debug: false\n', 60_000])

  assert.deepEqual(
    state.errors.map(({ problems }) => problems),
    [['/etc/x.yaml: there is no such file']],
  )
  assert.deepEqual(state.applied, [])
  assert.deepEqual(state.infos, ['the configuration file is again the one in force'])
})

test('a configuration that cannot be put into force leaves the former one', async () => {
  const { state } = watched('debug: false\n')

  state.refuse = new Error('no such folder')
  state.text = 'debug: true\n'
  await state.clock.advance(60_000)
  state.refuse = undefined
  state.text = 'force: true\n'
  await state.clock.advance(60_000)

  assert.deepEqual(
    state.errors.map(({ problems }) => problems),
    [['no such folder']],
  )
  assert.deepEqual(
    state.applied.map(({ force }) => force),
    [true],
  )
})

test('the interval of the new file holds from then on', async () => {
  const { state } = watched('reloadInterval: 10s\n')

  state.text = 'reloadInterval: 1m\n'
  await state.clock.advance(10_200)
  await state.clock.advance(59_000)
  const readsBefore = state.reads
  await state.clock.advance(1000)

  assert.deepEqual([readsBefore, state.reads], [2, 3])
})

test('a file that is being written is not taken half', async () => {
  const { says, state } = watched('debug: false\n')

  await says(['', 15_050], ['debug: true\n', 200], ['debug: true\nforce: true\n', 1_000])

  assert.deepEqual(
    state.applied.map(({ force }) => force),
    [true],
  )
  assert.deepEqual(state.errors, [])
})

test('a file that is written on and on is taken as it is after two seconds', async () => {
  const { says, state } = watched('debug: false\n')
  const lines = Array.from({ length: 12 }, (_, n) => [`# ${n}\ndebug: true\n`, 200] as const)

  await says(['debug: true\n', 15_000], ...lines)

  assert.equal(state.applied.length, 1)
})

test('a file that was emptied changes nothing; one that says so does', async () => {
  const { says, state } = watched('mirrorsOnly: [docker.io]\n')

  await says(['# all is gone\n', 60_000], ['{}\n', 60_000])

  assert.deepEqual(
    state.errors.map(({ problems }) => problems),
    [['/etc/x.yaml: it is empty; restart the service if it is to run without a configuration']],
  )
  assert.deepEqual(
    state.applied.map(({ mirrorsOnly }) => mirrorsOnly),
    [[]],
  )
})

test('an included file that breaks changes nothing until it is whole again', async () => {
  const { says, state } = watched('debug: false\n')

  state.broken = ['/certs.d/a.b/hosts.toml: not TOML']
  await says(['debug: true\n', 60_000])
  state.broken = []
  await says(['debug: true # now\n', 60_000])

  assert.deepEqual(
    state.errors.map(({ problems }) => problems),
    [['/etc/x.yaml: /certs.d/a.b/hosts.toml: not TOML']],
  )
  assert.equal(state.applied.length, 1)
})

test('with an interval of 0 the file is never read again', async () => {
  const { state } = watched('reloadInterval: 0\n')

  await state.clock.advance(86_400_000)

  assert.equal(state.reads, 0)
  assert.equal(state.clock.pendingTimers, 0)
})

test('a stopped watch leaves no timer and hands nothing over, not even what it is reading', async () => {
  const { state, stop } = watched('debug: false\n')

  state.text = 'debug: true\n'
  state.duringRead = stop
  await state.clock.advance(60_000)

  assert.equal(state.reads, 1)
  assert.deepEqual(state.applied, [])
  assert.equal(state.clock.pendingTimers, 0)
})

test('SIGHUP reports a file that is still wrong, or still the same', async () => {
  const { look, state } = watched('debug: false\n')

  await look()
  state.text = 'adress: x\n'
  await state.clock.advance(60_000)
  await look()

  assert.deepEqual(state.infos, ['configuration unchanged'])
  assert.equal(state.errors.length, 2)
  assert.deepEqual(state.errors[0], state.errors[1])
})
