import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { respond } from '../support/fake-runtime.ts'
import { runProgram } from '../support/program.ts'
import { startRelay } from '../support/relay.ts'
import { requireStack, temporaryFolder } from '../support/stack.ts'

test('the CRI socket passes h2spec, RFC 7540 and RFC 7541', async (t) => {
  if (!requireStack(t, ['h2spec'])) return
  const { relay, runtime } = await startRelay(t)
  runtime.handle('/', ({ stream }) => {
    stream.resume().on('end', () => {
      if (!stream.destroyed) respond(stream, [Buffer.alloc(8)])
    })
  })
  // It speaks TCP alone.
  const front = createServer((socket) => relay.accept(socket)).listen(0, '127.0.0.1')
  t.after(() => front.close())
  await once(front, 'listening')
  const { port } = front.address() as AddressInfo
  const report = join(temporaryFolder(t), 'report.xml')

  const args = ['--host', '127.0.0.1', '--port', String(port), '--timeout', '60', '-j', report]
  const output = await runProgram('h2spec', args).catch(String)

  const [, failures = output] = output.split('Failures:')
  assert.match(output, /\b1\d\d tests, 1\d\d passed, 0 skipped, 0 failed/, failures)
})
