import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { startMember, until } from '../../support/fleet.ts'
import { startRawServer } from '../../support/listen.ts'
import { FakeSource, identity, nginx } from '../../support/resolver.ts'
import { temporaryFolder } from '../../support/stack.ts'

const ALWAYS = { refresh: true, shared: true, urgent: true } as const

/** What answers as a store until it is asked something of ours. */
async function startHostile(t: TestContext, answer: (socket: Socket, command: string) => void) {
  let closed = 0
  const server = await startRawServer(t, (socket) => {
    socket.on('close', () => {
      closed += 1
    })
    socket.on('data', (bytes) => {
      const text = bytes.toString('latin1')
      const count = text.match(/^\*\d+\r$/gm)?.length ?? 0
      const reply = /\binfo\b/i.test(text) ? bulk('redis_version:7.0.15') : '+OK\r\n'
      if (/eval|sentinel|cluster/i.test(text)) answer(socket, text)
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
