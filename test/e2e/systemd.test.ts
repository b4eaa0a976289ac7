import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { link, unlink } from 'node:fs/promises'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { withImage } from '../../src/cri/image-messages.ts'
import { MAIN } from '../support/daemon.ts'
import { type FakeRuntime, hanging, respond, startFakeRuntime } from '../support/fake-runtime.ts'
import { openGrpcClient } from '../support/grpc-client.ts'
import { type Program, startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'

const VERSION = '/runtime.v1.RuntimeService/Version'
const PULL = '/runtime.v1.ImageService/PullImage'
const REQUEST = Buffer.from(withImage(new Uint8Array(), 'nginx'))
const LIMIT_MS = 60_000

interface Service {
  readonly program: Program
  readonly runtime: FakeRuntime
  /** Our CRI socket. */
  readonly path: string
  /** The port of HTTP, where that was handed down. */
  readonly port: number
  /** What systemd-notify was told, a line for each message. */
  told(): readonly string[]
  /** Resolves when a line was told that matches. */
  heard(pattern: RegExp): Promise<void>
}

interface ServiceOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Makes the sockets and hands them down, as socket units do. */
  readonly handsDown?: boolean
}

/** The service as systemd runs it, in front of a scripted runtime. */
async function startService(t: TestContext, options: ServiceOptions = {}): Promise<Service> {
  const folder = temporaryFolder(t)
  const runtime = await startFakeRuntime(t, join(folder, 'runtime.sock'))
  runtime.handle(VERSION, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  const path = join(folder, 'shim.sock')
  const config = { shim: path, cri: runtime.path, image: join(folder, 'state') }
  const configFile = join(folder, 'image-resolver.yaml')
  // JSON is YAML.
  writeFileSync(configFile, JSON.stringify({ ...config, http: { listen: '127.0.0.1:0' } }))
  const log = join(folder, 'told')
  writeFileSync(log, '')
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const script = `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >>${log}\n`
  writeFileSync(join(bin, 'systemd-notify'), script, { mode: 0o755 })
  const env = { PATH: `${bin}:${process.env['PATH'] ?? ''}`, ...options.env }
  const command = [process.execPath, ...MAIN, '--config', configFile]

  let port = 0
  let program: Program
  if (options.handsDown === true) {
    // The process that gets the sockets is known by its ID only when it runs.
    const names = 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=http:image-resolver.socket'
    const http = createServer().listen(0, '127.0.0.1')
    // Node removes the name under which it listens; the other one stays.
    const cri = createServer().listen(`${path}.made`)
    await Promise.all([once(http, 'listening'), once(cri, 'listening')])
    await link(`${path}.made`, path)
    port = (http.address() as AddressInfo).port
    const descriptors = [descriptorOf(http), descriptorOf(cri)]
    const args = ['-c', `${names} exec "$@"`, 'sh', ...command]
    program = startProgram('sh', args, env, descriptors)
    http.close()
    cri.close()
  } else program = startProgram(process.execPath, command.slice(1), env)
  t.after(() => program.kill())
  await program.line(/CRI is served/)
  const told = (): readonly string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1)
  return {
    program,
    runtime,
    path,
    port,
    told,
    heard: async (pattern) => {
      const end = performance.now() + LIMIT_MS
      while (!told().some((line) => pattern.test(line))) {
        assert.ok(performance.now() < end, `${pattern} in ${told().join('; ')}`)
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    },
  }
}

function descriptorOf(server: Server): number {
  return (Reflect.get(server, '_handle') as { readonly fd: number }).fd
}

test('sockets handed down by systemd are served, and stay when the service ends', async (t) => {
  const { path, port, program } = await startService(t, { handsDown: true })

  const answer = await openGrpcClient(t, path).call(VERSION, [Buffer.alloc(0)])
  const { status } = await fetch(`http://127.0.0.1:${port}/livez`)
  await program.stop()

  assert.deepEqual([answer.code, status], [0, 200])
  assert.equal(program.exitCode(), 0)
  assert.ok(existsSync(path))
  await unlink(path)
})

test('systemd hears that the doors are open, of a reload, and of the end', async (t) => {
  const { program, told, heard } = await startService(t, { env: { NOTIFY_SOCKET: '/run/n' } })

  await heard(/READY=1/)
  process.kill(program.pid, 'SIGHUP')
  await heard(/RELOADING=1/)
  await heard(/READY=1$/)
  await program.stop()

  const [ready, reloading, ...more] = told()
  assert.equal(ready, '/run/n READY=1 STATUS=http is open; cri is open')
  assert.match(reloading ?? '', /^\/run\/n RELOADING=1 MONOTONIC_USEC=\d+$/)
  assert.deepEqual(more, ['/run/n READY=1', '/run/n STOPPING=1 STATUS=ending'])
  assert.equal(program.exitCode(), 0)
})

test('the watchdog of systemd is fed', async (t) => {
  const env = { NOTIFY_SOCKET: '/run/n', WATCHDOG_USEC: '200000' }
  const { heard } = await startService(t, { env })

  await heard(/WATCHDOG=1/)
})

test('SIGTERM lets a running pull end, and then the service ends', async (t) => {
  const { path, program, runtime } = await startService(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const pull = openGrpcClient(t, path).call(PULL, [REQUEST])
  const call = await arrived

  process.kill(program.pid, 'SIGTERM')
  await program.line(/"ending"/)
  respond(call.stream, [Buffer.from('pulled')])
  const { code, messages } = await pull
  await program.ended()

  assert.deepEqual([code, ...messages.map(String)], [0, 'pulled'])
  assert.equal(program.exitCode(), 0)
  assert.ok(!existsSync(path))
})

test('a second signal ends the service at once, in the middle of a pull', async (t) => {
  const { path, program, runtime } = await startService(t)
  const { arrived, hang } = hanging()
  runtime.handle(PULL, hang)
  const pull = openGrpcClient(t, path).call(PULL, [REQUEST])
  await arrived
  process.kill(program.pid, 'SIGTERM')
  await program.line(/"ending"/)

  process.kill(program.pid, 'SIGINT')
  await program.ended()
  await pull

  assert.equal(program.exitCode(), null)
})
