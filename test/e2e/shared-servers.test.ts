import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../support/certificate.ts'
import { ALWAYS, type FleetMember, startMember } from '../support/fleet.ts'
import { reservePort } from '../support/port.ts'
import { runProgram } from '../support/program.ts'
import { type Redis, requireRedis, startRedis } from '../support/redis.ts'
import { FakeSource, identity, nginx } from '../support/resolver.ts'
import { temporaryFolder } from '../support/stack.ts'
import { until } from '../support/until.ts'

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
  const port = await reservePort(t)
  const files = ['--tls-cert-file', certFile, '--tls-key-file', keyFile]
  const own = ['--port', '0', '--tls-port', String(port), '--tls-ca-cert-file', certFile]
  await startRedis(t, ['--bind', '127.0.0.1', ...own, ...files])
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
  const port = await reservePort(t)
  const files = ['--tls-cert-file', `${certFile}`, '--tls-key-file', `${keyFile}`]
  const own = ['--port', '0', '--tls-port', String(port), '--tls-auth-clients', 'no']
  await startRedis(t, ['--bind', '127.0.0.1', ...own, ...files])
  const source = new FakeSource({ m1: async () => identity('one') })
  const fields = `, tls: {ca: ${other}}`

  const node = await startMember(t, `rediss://127.0.0.1:${port}`, source, { fields, readyMs: 1 })

  await until(() => node.logged.includes('the shared store is left alone'))
  assert.equal((await node.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
})

/** A user as docs/fleet.md writes it. @returns the fields of the configuration that are it */
async function addUser(t: TestContext, redis: Redis): Promise<string> {
  const page = readFileSync(new URL('../../docs/fleet.md', import.meta.url), 'utf8')
  const [, rules = ''] = /^user image-resolver on #\S+ (.+)$/m.exec(page) ?? []
  const said = await redis.command('acl', 'setuser', 'node', 'on', '>right', ...rules.split(' '))
  assert.equal(said, 'OK')
  const passwordFile = join(temporaryFolder(t), 'password')
  writeFileSync(passwordFile, 'right\n')
  return `, username: node, passwordFile: ${passwordFile}`
}

test('a user as the page of fleets writes it may do what is needed, and no harm to others', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const { a, b } = await twoNodes(t, redis.url, await addUser(t, redis))

  await untilShared(b)
  await b.shared.expire([{ repository: 'library/nginx', tag: 'latest' }])
  assert.equal((await a.resolver.resolve(nginx(), ALWAYS)).source, 'registry')
  await until(async () => /:nodes$/m.test(await redis.command('keys', '*')))

  assert.equal(await redis.command('acl', 'log'), '')
  const harm = [['flushall'], ['get', 'of others'], ['config', 'get', '*'], ['script', 'flush']]
  for (const words of harm) {
    const said = await redis.command('acl', 'dryrun', 'node', ...words)
    assert.match(said, /no permission/, words.join(' '))
  }
})

test('nodes share a cluster', async (t) => {
  if (!requireRedis(t)) return
  const port = await reservePort(t)
  const bus = await reservePort(t)
  const own = ['--port', String(port), '--cluster-enabled', 'yes', '--cluster-port', String(bus)]
  const announced = ['--cluster-announce-ip', '127.0.0.1']
  const redis = await startRedis(t, ['--bind', '127.0.0.1', ...own, ...announced])
  await runProgram('redis-cli', ['-p', String(port), 'cluster', 'addslotsrange', '0', '16383'])
  const info = () => runProgram('redis-cli', ['-p', String(port), 'cluster', 'info'])
  await until(async () => /cluster_state:ok/.test(await info()))

  const user = await addUser(t, redis)
  const { b } = await twoNodes(t, `redis+cluster://127.0.0.1:${port}`, user)

  await untilShared(b)
  assert.equal(await redis.command('acl', 'log'), '')
})
