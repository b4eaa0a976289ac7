import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump } from 'js-yaml'
import { examine } from '../../../src/doctor/doctor.ts'
import { buildApp } from '../../../src/http/app.ts'
import { listenHttp } from '../../../src/http/listen.ts'
import { silentLogger } from '../../../src/telemetry/log.ts'
import { createCertificate } from '../../support/certificate.ts'
import { startMember } from '../../support/fleet.ts'
import { listen } from '../../support/listen.ts'
import { reservePort } from '../../support/port.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import { FakeSource } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

/** What is found of a fleet by a node with this configuration. */
async function findingsOf(t: TestContext, config: object, offline = false) {
  const file = join(temporaryFolder(t), 'image-resolver.yaml')
  writeFileSync(file, dump({ http: { listen: '127.0.0.1:1' }, ...config }), { mode: 0o600 })
  const options = { file, root: '/', offline, environment: {} }
  const { findings } = await examine(options)
  return findings.filter(({ area, file: about }) => area === 'fleet' || about === file)
}

function secret(t: TestContext, text: string): string {
  const file = join(temporaryFolder(t), 'secret')
  writeFileSync(file, text, { mode: 0o600 })
  return file
}

const shared = (url: string, more: object = {}) => ({ cache: { shared: { url, ...more } } })
const checksOf = (findings: Awaited<ReturnType<typeof findingsOf>>) =>
  findings.map(({ check, severity }) => [check, severity])

const KEY = 'a key of sixteen bytes and more'

test('a store that answers, with nodes of the same key, is no finding', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t, ['--requirepass', 'right'])
  const [key, passwordFile] = [`file:${secret(t, KEY)}`, secret(t, 'right\n')]
  await startMember(t, redis.url, new FakeSource({}), {
    fields: `, key: "${key}", passwordFile: "${passwordFile}"`,
  })

  assert.deepEqual(await findingsOf(t, shared(redis.url, { key, passwordFile })), [])
})

test('a store that is gone is found, with the line of its address, and not asked for with --offline', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  await redis.kill()
  const port = await reservePort(t)
  const url = `redis://127.0.0.1:${port}`

  const [found, ...more] = await findingsOf(t, shared(url))
  const socket = await findingsOf(t, shared(redis.url))
  const offline = await findingsOf(t, shared(url), true)

  assert.deepEqual([found?.check, found?.severity, found?.line], ['shared-store', 'warning', 5])
  assert.match(found?.problem ?? '', new RegExp(`^${url}: .*ECONNREFUSED`))
  assert.deepEqual(more, [])
  assert.deepEqual(checksOf(socket), [['shared-store', 'warning']])
  assert.deepEqual(offline, [])
})

test('a password that the store refuses, or that is missing, is found and not shown', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t, ['--requirepass', 'right'])

  const wrong = await findingsOf(t, shared(redis.url, { passwordFile: secret(t, 'hunter2') }))
  const none = await findingsOf(t, shared(redis.url))

  for (const [found, said] of [
    [wrong, /WRONGPASS/],
    [none, /NOAUTH/],
  ] as const) {
    assert.deepEqual(checksOf(found), [['shared-store', 'warning']])
    assert.match(found[0]?.problem ?? '', said)
    assert.match(found[0]?.mend ?? '', /passwordFile/)
    assert.doesNotMatch(JSON.stringify(found), /hunter2/)
  }
})

test('a user of the store that may not do what is needed is found', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  await redis.command('acl', 'setuser', 'poor', 'on', '>right', '~*', '-@all', '+@connection')
  const passwordFile = secret(t, 'right')

  const [found] = await findingsOf(t, shared(redis.url, { username: 'poor', passwordFile }))

  assert.match(found?.problem ?? '', /NOPERM/)
  assert.match(found?.mend ?? '', /docs\/fleet\.md/)

  // What a script of ours may not run, servers up to Redis 7.0 say in other words.
  await redis.command('acl', 'setuser', 'poor', '+@all', '-time')
  const [within] = await findingsOf(t, shared(redis.url, { username: 'poor', passwordFile }))
  assert.match(within?.mend ?? '', /docs\/fleet\.md/)
})

test('nodes with another key are found, and entries that no node of the fleet wrote', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t)
  const [key, other] = [`file:${secret(t, KEY)}`, `file:${secret(t, `not ${KEY}`)}`]
  await startMember(t, redis.url, new FakeSource({}), { fields: `, key: "${key}"` })
  let list = ''
  await until(async () => {
    list = await redis.command('keys', 'image-resolver:*:nodes')
    return list !== ''
  })

  const [foreign, ...more] = await findingsOf(t, shared(redis.url, { key: other }))
  const [id = ''] = (await redis.command('hkeys', list)).split('\n')
  await redis.command('hset', list, id, '1 0 forged {"node":"x"}')
  const [forged] = await findingsOf(t, shared(redis.url, { key }))

  assert.deepEqual([foreign?.check, foreign?.severity], ['shared-store', 'warning'])
  assert.match(foreign?.problem ?? '', /nodes with another key use it \(1 key\)/)
  assert.deepEqual(more, [])
  assert.match(forged?.problem ?? '', /1 entries are not signed with the key of this fleet/)
})

test('a key that is short, missing or wanted is found without asking the store', async (t) => {
  const file = secret(t, 'short\n')
  const gone = join(temporaryFolder(t), 'gone')
  const url = 'rediss://store.invalid:6379'

  const short = await findingsOf(t, shared(url, { key: `file:${file}` }), true)
  const missing = await findingsOf(t, shared(url, { key: `file:${gone}` }), true)
  const none = await findingsOf(t, shared(url), true)

  assert.deepEqual(
    short.map(({ check, file: at }) => [check, at]),
    [['shared-store-key', file]],
  )
  assert.match(short[0]?.problem ?? '', /has 5 bytes, and 16 are the least/)
  assert.doesNotMatch(JSON.stringify(short), /short/)
  assert.deepEqual(missing, [])
  assert.deepEqual(checksOf(none), [['configuration', 'error']])
  assert.match(none[0]?.problem ?? '', /set cache\.shared\.key/)
})

test('a store on the network without TLS is found', async (t) => {
  const config = shared('redis://store.invalid:6379', {
    key: `file:${secret(t, KEY)}`,
    passwordFile: secret(t, 'x'),
  })

  const [found] = await findingsOf(t, config, true)

  assert.deepEqual([found?.check, found?.severity, found?.line], ['configuration', 'warning', 5])
  assert.match(found?.problem ?? '', /the password crosses the network in the clear: write rediss/)
})

/** A service on the network with TLS and a token, and the entry of a node for it. */
async function startService(t: TestContext) {
  const { cert, key } = createCertificate()
  const [certFile, keyFile, ca] = [secret(t, cert), secret(t, key), secret(t, cert)]
  const app = buildApp({
    answers: { answer: () => assert.fail('no image is asked for') },
    readiness: { check: async () => [] },
    access: { token: 'of-the-fleet' },
    tls: { cert: certFile, key: keyFile },
    logger: silentLogger(),
  })
  t.after(() => {
    app.server.closeAllConnections()
    return app.close()
  })
  const { port } = new URL(await listenHttp(app, '0.0.0.0:0'))
  return { url: `https://127.0.0.1:${port}`, ca, tokenFile: secret(t, 'of-the-fleet\n') }
}

test('a resolver that takes the token is no finding; one that refuses it, or is not trusted, is', async (t) => {
  const { ca, tokenFile, url } = await startService(t)

  const right = await findingsOf(t, { resolvers: [{ url, ca, tokenFile }] })
  const wrong = await findingsOf(t, {
    resolvers: [{ url, ca, tokenFile: secret(t, 'hunter2') }],
  })
  const none = await findingsOf(t, { resolvers: [{ url, ca }] })
  const untrusted = await findingsOf(t, { resolvers: [{ url, tokenFile }] })

  assert.deepEqual(right, [])
  for (const found of [wrong, none, untrusted]) {
    assert.deepEqual(checksOf(found), [['resolvers', 'warning']])
    assert.doesNotMatch(JSON.stringify(found), /hunter2|of-the-fleet/)
  }
  assert.match(wrong[0]?.problem ?? '', /refuses the token/)
  assert.match(none[0]?.problem ?? '', /wants a token/)
  assert.match(untrusted[0]?.problem ?? '', /certificate/i)
})

test('a resolver that is out of reach is found, and another program in its place', async (t) => {
  const other = await listen(
    t,
    createServer((_request, response) => response.end('{}')),
  )
  const url = `http://127.0.0.1:${await reservePort(t)}`

  const found = await findingsOf(t, { resolvers: [url, other.url] })

  assert.deepEqual(checksOf(found), [
    ['resolvers', 'warning'],
    ['resolvers', 'warning'],
  ])
  assert.match(found[0]?.problem ?? '', /ECONNREFUSED/)
  assert.equal(found[0]?.line, 4)
  assert.match(found[1]?.problem ?? '', /is no image-resolver/)
})
