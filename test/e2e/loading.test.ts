import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { dump } from 'js-yaml'
import { MAIN } from '../support/daemon.ts'
import { FakeRegistry } from '../support/fake-registry.ts'
import { respond, startFakeRuntime } from '../support/fake-runtime.ts'
import { buildImage } from '../support/images.ts'
import { recordModules } from '../support/loaded-modules.ts'
import { startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'

// Most of a start is loading. What is loaded without need is paid for by every command.

function start(t: TestContext, args: readonly string[], environment = {}) {
  const modules = recordModules(t)
  const program = startProgram(process.execPath, [...modules.flags, ...MAIN, ...args], environment)
  t.after(() => program.stop())
  return { modules, program }
}

function configure(t: TestContext, config: object): readonly string[] {
  const folder = temporaryFolder(t)
  const file = join(folder, 'image-resolver.yaml')
  const base = { image: folder, shim: join(folder, 'shim.sock'), http: { listen: '127.0.0.1:0' } }
  writeFileSync(file, dump({ ...base, ...config }))
  return ['--config', file]
}

for (const option of ['--version', '--help']) {
  test(`${option} loads no package, and nothing but the command line`, async (t) => {
    const { modules, program } = start(t, [option])

    await program.ended()

    assert.equal(program.exitCode(), 0, program.output())
    assert.deepEqual(modules.packages(), [])
    const beyond = modules.own().filter((name) => !name.startsWith('cli/'))
    assert.deepEqual(beyond, ['config/diagnostics', 'errors', 'main'])
  })
}

test('resolve loads what reads YAML and what caches, and no other package', async (t) => {
  const registry = await FakeRegistry.start(t)
  registry.put('library/app', '1', buildImage())
  const config = configure(t, { registries: [{ address: registry.url }] })
  const { modules, program } = start(t, ['resolve', 'app:1', ...config])

  await program.ended()

  assert.equal(program.exitCode(), 0, program.output())
  assert.deepEqual(modules.packages(), ['js-yaml', 'lru-cache'])
  const rooms = new Set(modules.own().map((name) => name.replace(/\/.*/, '')))
  for (const room of ['http', 'cri', 'runtime', 'daemon']) {
    assert.ok(!rooms.has(room), room)
  }
  assert.ok(!modules.own().includes('host/systemd'))
  // The registry speaks plain HTTP.
  assert.ok(modules.builtin().includes('node:http'))
  assert.ok(!modules.builtin().includes('node:tls'))
  assert.ok(modules.files() <= 6, `${modules.files()} files`)
})

test('the service serves HTTP before it loads what speaks to registries', async (t) => {
  const { modules, program } = start(t, ['serve', ...configure(t, {})])

  await program.line(/HTTP is served/)

  // A runtime on this machine is asked, for which its messages are needed and no client of gRPC.
  const packages = modules.packages().filter((name) => name !== '@grpc/proto-loader')
  assert.deepEqual(packages, ['fastify', 'js-yaml', 'lru-cache', 'pino'])
  assert.ok(!modules.own().includes('registry/pool'))
})

test('the CRI socket is opened before what only HTTP needs is loaded', async (t) => {
  const runtime = await startFakeRuntime(t, join(temporaryFolder(t), 'runtime.sock'))
  const config = configure(t, { cri: runtime.path })
  let loaded: readonly string[] = []
  let output = ''
  // On a busy machine a runtime may be silent for longer than HTTP waits for it.
  do {
    const { modules, program } = start(t, ['serve', ...config])
    loaded = []
    runtime.handle('/runtime.v1.RuntimeService/Version', ({ stream }) => {
      if (loaded.length === 0) loaded = [...modules.packages(), ...modules.own()]
      respond(stream, [Buffer.alloc(0)])
    })
    await program.line(/HTTP is served/)
    output = program.output()
    await program.stop()
  } while (/listener not open/.test(output))

  assert.match(output, /CRI is served.*HTTP is served/s)
  assert.ok(loaded.includes('cri/server'))
  for (const name of ['fastify', 'http/app', 'registry/client']) {
    assert.ok(!loaded.includes(name), name)
  }
})

test('the service starts from few files, as each takes up to a millisecond', async (t) => {
  const { modules, program } = start(t, ['serve', ...configure(t, {})])

  await program.line(/HTTP is served/)

  assert.ok(modules.files() <= 14, `${modules.files()} files`)
})

test('a file of the program takes a byte a character in memory', () => {
  const folder = fileURLToPath(new URL('../../dist/app/', import.meta.url))
  const files = readdirSync(folder).filter((name) => name.endsWith('.js'))

  const wide = files.filter((name) => /[^\0-\xff]/.test(readFileSync(join(folder, name), 'utf8')))

  assert.ok(files.length > 0)
  assert.deepEqual(wide, [], 'V8 keeps these at two bytes a character')
})

test('what speaks to a store is loaded where one is configured, and nowhere else', async (t) => {
  for (const url of [undefined, 'unix:///nowhere/valkey.sock']) {
    const shared = url === undefined ? {} : { cache: { shared: { url } } }
    const { modules, program } = start(t, ['serve', ...configure(t, shared)])

    await program.line(url === undefined ? /HTTP is served/ : /the shared store is left alone/)

    assert.equal(modules.packages().includes('ioredis'), url !== undefined)
    assert.equal(modules.own().includes('shared-cache/open'), url !== undefined)
  }
})

test('what exports spans is loaded where an endpoint for them is named, and nowhere else', async (t) => {
  for (const environment of [{}, { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }]) {
    const { modules, program } = start(t, ['serve', ...configure(t, {})], environment)

    await program.line(/HTTP is served/)

    const isTraced = 'OTEL_EXPORTER_OTLP_ENDPOINT' in environment
    const loaded = modules.packages().filter((name) => name.startsWith('@opentelemetry/'))
    assert.equal(loaded.length > 0, isTraced)
    assert.equal(modules.own().includes('telemetry/otlp'), isTraced)
  }
})

test('what proxies blobs is loaded where `/v2/` is served, and nowhere else', async (t) => {
  for (const enabled of [false, true]) {
    const { modules, program } = start(t, ['serve', ...configure(t, { mirror: { enabled } })])

    await program.line(/HTTP is served/)

    for (const name of ['@fastify/http-proxy', 'undici']) {
      assert.equal(modules.packages().includes(name), enabled, name)
    }
  }
})
