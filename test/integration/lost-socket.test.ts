import assert from 'node:assert/strict'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { criClient } from '../support/cri-client.ts'
import { startDaemon } from '../support/daemon.ts'
import { respond, startFakeRuntime } from '../support/fake-runtime.ts'
import { type Cleanup, temporaryFolder } from '../support/stack.ts'

const LIST = '/runtime.v1.ImageService/ListImages'
const LIMIT_MS = 60_000

/** The program before a runtime that has no images. */
async function startService(t: Cleanup) {
  const runtime = await startFakeRuntime(t, `${temporaryFolder(t)}/runtime.sock`)
  for (const path of [LIST, '/runtime.v1.RuntimeService/Version']) {
    runtime.handle(path, ({ stream }) => respond(stream, [Buffer.alloc(0)]))
  }
  return startDaemon(t, { cri: runtime.path })
}

test('a kubelet reaches the service again after the file of its socket was deleted', async (t) => {
  const daemon = await startService(t)
  const before = criClient(t, daemon.socketPath)
  await before.raw(LIST, new Uint8Array())

  rmSync(daemon.socketPath)
  await daemon.program().line(/the file of the socket was lost; it is made anew/)

  await before.raw(LIST, new Uint8Array())
  const after = criClient(t, daemon.socketPath)
  assert.deepEqual((await after.raw(LIST, new Uint8Array())).response, Buffer.alloc(0))
})

test('/readyz says that another program has taken the socket, until that one is gone', async (t) => {
  const daemon = await startService(t)
  const ready = () => fetch(new URL('/readyz', daemon.httpUrl()))
  const other = createServer()
  t.after(() => other.close())
  rmSync(daemon.socketPath)
  other.listen(daemon.socketPath)
  await once(other, 'listening')

  await daemon.program().line(/the file of the socket is lost; trying/)
  const taken = await ready()
  other.close()
  await daemon.program().line(/the file of the socket was lost; it is made anew/)
  // What was found is told for a second to all who ask.
  const limit = performance.now() + LIMIT_MS
  while ((await ready()).status !== 200) assert.ok(performance.now() < limit, 'ready in time')

  assert.equal(taken.status, 503)
  assert.match(await taken.text(), /another instance serves .*shim\.sock; stop it first or choose/)
})
