import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../support/certificate.ts'
import { type FleetMember, startMember, until } from '../support/fleet.ts'
import { type Program, runProgram, startProgram } from '../support/program.ts'
import { requireRedis } from '../support/redis.ts'
import { FakeSource, identity, nginx } from '../support/resolver.ts'
import { temporaryFolder } from '../support/stack.ts'

const ALWAYS = { refresh: true, shared: true, urgent: true } as const

/** One that was free a moment ago: redis-server cannot choose by itself. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function startServer(t: TestContext, options: readonly string[]): Promise<Program> {
  const fixed = ['--bind', '127.0.0.1', '--save', '', '--dir', temporaryFolder(t)]
  const program = startProgram('redis-server', [...fixed, ...options])
  t.after(() => program.kill())
  await program.line(/Ready to accept connections/i)
  return program
}

/** Two nodes at that store, of which one asked. */
async function twoNodes(t: TestContext, url: string, fields = '') {
  const source = new FakeSource({ m1: async () => identity('one') })
  const options = { fields: `, budget: 1s${fields}` }
  const [a, b] = [
    await startMember(t, url, source, options),
    await startMember(t, url, source, options),
  ] as const
  await a.resolver.resolve(nginx(), ALWAYS)
  return { a, b, source }
}

async function untilShared({ resolver }: FleetMember): Promise<void> {
  await until(async () => (await resolver.resolve(nginx(), ALWAYS)).source === 'shared')
}

test('nodes share a store that speaks TLS and wants a client certificate', async (t) => {
  if (!requireRedis(t)) return
  const folder = temporaryFolder(t)
  const { cert, key } = createCertificate()
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  writeFileSync(certFile, cert)
  writeFileSync(keyFile, key)
  const port = await freePort()
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile]
  const own = ['--port', '0', '--tls-port', String(port), '--tls-ca-cert-file', certFile]
  await startServer(t, [...own, ...files])
  const tls = `, tls: {ca: ${certFile}, cert: ${certFile}, key: ${keyFile}}`

  const { a, b } = await twoNodes(t, `rediss://127.0.0.1:${port}`, tls)

  await untilShared(b)
  assert.equal(a.metrics.shared.claims.won, 1)
})

test('a store of an unknown authority is never used', async (t) => {
  if (!requireRedis(t)) return
  const folder = temporaryFolder(t)
  const { cert, key } = createCertificate()
  const [certFile, keyFile, other] = ['cert', 'key', 'ca'].map((name) => join(folder, name))
  writeFileSync(certFile as string, cert)
  writeFileSync(keyFile as string, key)
  writeFileSync(other as string, createCertificate().cert)
  const port = await freePort()
  const files = ['--tls-cert-file', `${certFile}`, '--tls-key-file', `${keyFile}`]
  const own = ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no']
  await startServer(t, [...own, ...files])
  const source = new FakeSource({ m1: async () => identity('one') })
  const fields = `, tls: {ca: ${other}}`

  const node = await startMember(t, `rediss://127.0.0.1:${port}`, source, { fields, readyMs: 1 })

  await until(() => node.logged.includes('the shared store is left alone'))
  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
})

test('nodes share a cluster', async (t) => {
  if (!requireRedis(t)) return
  const port = await freePort()
  const bus = await freePort()
  const own = ['--port', String(port), '--cluster-enabled', 'yes', '--cluster-port', String(bus)]
  const announced = ['--cluster-announce-ip', '127.0.0.1']
  await startServer(t, [...own, ...announced])
  await runProgram('redis-cli', ['-p', String(port), 'cluster', 'addslotsrange', '0', '16383'])
  const info = () => runProgram('redis-cli', ['-p', String(port), 'cluster', 'info'])
  await until(async () => /cluster_state:ok/.test(await info()))

  const { b } = await twoNodes(t, `redis+cluster://127.0.0.1:${port}`)

  await untilShared(b)
})

test('when sentinels promote a replica no pull fails, and nodes share again', async (t) => {
  if (!requireRedis(t)) return
  const [first, second, third] = [await freePort(), await freePort(), await freePort()]
  const primary = await startServer(t, ['--port', String(first)])
  await startServer(t, ['--port', String(second), '--replicaof', `127.0.0.1 ${first}`])
  const info = () => runProgram('redis-cli', ['-p', String(first), 'info', 'replication'])
  await until(async () => /state=online/.test(await info()))
  const file = join(temporaryFolder(t), 'sentinel.conf')
  const rules = [
    'bind 127.0.0.1',
    `port ${third}`,
    `sentinel monitor fleet 127.0.0.1 ${first} 1`,
    'sentinel down-after-milliseconds fleet 500',
    'sentinel failover-timeout fleet 5000',
  ]
  writeFileSync(file, `${rules.join('\n')}\n`)
  const sentinel = startProgram('redis-server', [file, '--sentinel'])
  t.after(() => sentinel.kill())
  await sentinel.line(/\+slave/)
  const { a, b } = await twoNodes(t, `redis+sentinel://127.0.0.1:${third}/fleet`)
  await untilShared(b)

  await primary.kill()
  const during = await Promise.all([a, b].map(({ resolver }) => resolver.resolve(nginx(), ALWAYS)))
  await sentinel.line(/\+switch-master/)

  assert.ok(during.every(({ imageId }) => imageId === identity('one').imageId))
  await untilShared(a)
  await untilShared(b)
})
