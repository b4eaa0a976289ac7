import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startMember } from '../../support/fleet.ts'
import { startRawServer } from '../../support/listen.ts'
import { reservePort } from '../../support/port.ts'
import { requireRedis, startRedis } from '../../support/redis.ts'
import { FakeSource, identity, nginx } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'
import { until } from '../../support/until.ts'

const ALWAYS = { refresh: true, shared: true, urgent: true } as const

/** What answers as a store until it is asked something of ours. */
async function startHostile(
  t: TestContext,
  answer: (socket: Socket, command: string) => void | Promise<void>,
) {
  let closed = 0
  const server = await startRawServer(t, (socket) => {
    socket.on('close', () => {
      closed += 1
    })
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1')
      const count = text.match(/^\*\d+\r$/gm)?.length ?? 0
      const reply = /\binfo\b/i.test(text) ? bulk('redis_version:7.0.15') : '+OK\r\n'
      if (/eval|sentinel|cluster/i.test(text)) void answer(socket, text)
      else socket.write(reply.repeat(count))
    })
  })
  return { port: server.port, accepted: server.accepted, closed: () => closed }
}

function bulk(text: string): string {
  return `$${text.length}\r\n${text}\r\n`
}

const HUGE: readonly (readonly [string, string])[] = [
  ['is endless', `$500000000\r\n${'x'.repeat(1_000_000)}`],
  ['has room made for a billion items', '*30000000\r\n'.repeat(100)],
  ['never ends its line', `+${'x'.repeat(1_000_000)}`],
]

for (const [what, reply] of HUGE) {
  test(`a reply that ${what} ends its connection, and fails no pull`, async (t) => {
    const hostile = await startHostile(t, (socket) => void socket.write(reply))
    const source = new FakeSource({ m1: async () => identity('one') })
    const url = `redis://127.0.0.1:${hostile.port}`
    const before = process.memoryUsage().rss

    const node = await startMember(t, url, source, { fields: ', budget: 1s' })
    const answer = await node.resolver.resolve(nginx(), ALWAYS)
    await until(() => hostile.closed() > 0)

    assert.equal(answer.source, 'registry')
    assert.ok(process.memoryUsage().rss - before < 150_000_000)
    assert.ok(node.logged.includes('the shared store is left alone'))
  })
}

test('lists in lists that were not asked for, and come in pieces, end their connection and not the process', async (t) => {
  const hostile = await startHostile(t, async (socket) => {
    socket.setNoDelay(true)
    socket.write(':1\r\n')
    for (let piece = 0; piece < 15; piece += 1) {
      socket.write('*1\r\n'.repeat(300))
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    socket.write(':1\r\n')
  })
  const source = new FakeSource({ m1: async () => identity('one') })
  const url = `redis://127.0.0.1:${hostile.port}`

  const node = await startMember(t, url, source, { fields: ', budget: 1s' })
  await node.resolver.resolve(nginx(), ALWAYS)

  await until(() => hostile.closed() > 0)
  assert.ok(node.logged.includes('the shared store is left alone'))
})

test('a password that is not there yet is read when it is', async (t) => {
  if (!requireRedis(t)) return
  const redis = await startRedis(t, ['--requirepass', 'right'])
  const file = join(temporaryFolder(t), 'password')
  const fields = `, budget: 1s, passwordFile: ${file}`
  const source = new FakeSource({ m1: async () => identity('one') })
  const node = await startMember(t, redis.url, source, { fields })
  assert.deepEqual(node.logged, ['the shared store is left alone'])

  writeFileSync(file, 'right\n')

  // The node tells of itself again and again, also where nothing is pulled.
  await until(() => node.logged.includes('the shared store is used'))
})

const NAMED: readonly (readonly [string, string])[] = [
  ['a sentinel', 'redis+sentinel'],
  ['a node of a cluster', 'redis+cluster'],
]

for (const [what, scheme] of NAMED) {
  test(`no address that ${what} names is connected to, unless the configuration has it`, async (t) => {
    const elsewhere = await startRawServer(t, (socket) => void socket.destroy())
    const place = `${bulk('127.0.0.1')}`
    const hostile = await startHostile(t, (socket, command) => {
      const slots = `*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n${place}:${elsewhere.port}\r\n`
      if (/get-master-addr/i.test(command))
        socket.write(`*2\r\n${place}${bulk(`${elsewhere.port}`)}`)
      else if (/slots/i.test(command)) socket.write(slots)
      else if (/cluster/i.test(command)) socket.write(bulk('cluster_state:ok'))
      else socket.write(`-MOVED 1 127.0.0.1:${elsewhere.port}\r\n`)
    })
    const source = new FakeSource({ m1: async () => identity('one') })
    const name = scheme.endsWith('sentinel') ? '/fleet' : ''
    // Another name of the same machine, which is not the one that is named.
    const url = `${scheme}://localhost:${hostile.port}${name}`

    const node = await startMember(t, url, source, { fields: ', budget: 1s', readyMs: 1 })
    await until(() => node.logged.includes('the shared store is left alone'))
    const answer = await node.resolver.resolve(nginx(), ALWAYS)
    await until(() => hostile.accepted() > 1)

    assert.equal(answer.source, 'registry')
    assert.equal(elsewhere.accepted(), 0)

    const key = join(temporaryFolder(t), 'fleet.key')
    writeFileSync(key, 'a key that the whole fleet has')
    for (const fields of [
      '[127.0.0.1]',
      `[10.0.0.1, "fd00::/8", 127.0.0.0/8], key: "file:${key}"`,
    ]) {
      const before = elsewhere.accepted()
      await startMember(t, url, source, { fields: `, addresses: ${fields}`, readyMs: 1 })
      await until(() => elsewhere.accepted() > before)
    }
  })
}

test('a store is connected to again when a sentinel tells of a failover in the middle of a connection', async (t) => {
  if (!requireRedis(t)) return
  const port = await reservePort(t)
  const primary = await startRedis(t, ['--bind', '127.0.0.1', '--port', `${port}`])
  const subscribed: Socket[] = []
  let asked = 0
  const sentinel = await startRawServer(t, (socket) => {
    socket.on('data', async (bytes) => {
      for (const command of bytes.toString('latin1').split(/(?=^\*\d+\r$)/m)) {
        socket.write(await sentinelReply(socket, command))
      }
    })
  })
  async function sentinelReply(socket: Socket, command: string): Promise<string> {
    if (/subscribe/i.test(command)) {
      subscribed.push(socket)
      return `*3\r\n${bulk('subscribe')}${bulk('+switch-master')}:1\r\n`
    }
    if (!/get-master-addr/i.test(command)) return '+OK\r\n'
    asked += 1
    if (asked === 2) {
      const told = subscribed.splice(0)
      const ended = told.map((each) => once(each, 'close'))
      for (const each of told) {
        each.write(`*3\r\n${bulk('message')}${bulk('+switch-master')}${bulk('fleet')}`)
      }
      await Promise.all(ended)
    }
    return `*2\r\n${bulk('127.0.0.1')}${bulk(`${port}`)}`
  }
  const url = `redis+sentinel://127.0.0.1:${sentinel.port}/fleet`
  const node = await startMember(t, url, new FakeSource({ m1: async () => identity('one') }))
  await until(() => subscribed.length > 0)

  await primary.command('client', 'kill', 'type', 'normal')
  const pull = () => node.resolver.resolve(nginx(), ALWAYS)
  await until(async () => {
    await pull()
    return asked > 2 && node.metrics.shared.unused === 0
  })
})

test('what a cluster was told lately it is told again when another node of it takes over', async (t) => {
  const told: string[] = []
  const ended: Socket[] = []
  let primary = 'first'
  const start = (name: string) =>
    startRawServer(t, (socket) => {
      if (name !== primary && name === 'first') return void socket.destroy()
      if (name === 'first') ended.push(socket)
      socket.on('data', (bytes) => {
        for (const command of bytes.toString('latin1').split(/(?=^\*\d+\r$)/m)) {
          if (/\bdel\b/i.test(command)) told.push(name)
          socket.write(replyTo(command))
        }
      })
    })
  const [first, second] = await Promise.all([start('first'), start('second')])
  function replyTo(command: string): string {
    const nodes = [first, second].map(({ port }) => `*2\r\n${bulk('127.0.0.1')}:${port}\r\n`)
    if (primary === 'second') nodes.reverse()
    if (/slots/i.test(command)) return `*1\r\n*4\r\n:0\r\n:16383\r\n${nodes.join('')}`
    if (/cluster|\binfo\b/i.test(command)) return bulk('cluster_state:ok')
    return /\bdel\b|eval/i.test(command) ? ':1\r\n' : '+OK\r\n'
  }
  const url = `redis+cluster://127.0.0.1:${first.port},127.0.0.1:${second.port}`
  const node = await startMember(t, url, new FakeSource({}), { fields: ', budget: 1s' })
  assert.equal(await node.shared.expire([{ repository: 'app', tag: '1' }]), true)
  assert.deepEqual(told, ['first'])

  primary = 'second'
  for (const socket of ended) socket.destroy()

  await until(() => told.includes('second'))
})
