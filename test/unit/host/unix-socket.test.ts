import assert from 'node:assert/strict'
import { once } from 'node:events'
import {
  chmod,
  chown,
  link,
  lstat,
  open,
  readdir,
  rename,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { type ListeningSocket, listenOnSocket } from '../../../src/host/unix-socket.ts'
import { temporaryFolder } from '../../support/stack.ts'

const logger = pino({ level: 'silent' })

function listen(path: string, like?: string): Promise<ListeningSocket> {
  const onConnection = (socket: Socket): void => {
    socket.on('error', () => {}).end('hello')
  }
  return listenOnSocket({ path, onConnection, logger, ...(like === undefined ? {} : { like }) })
}

async function listenFor(t: TestContext, path: string, like?: string): Promise<ListeningSocket> {
  const socket = await listen(path, like)
  t.after(() => socket.close())
  return socket
}

async function greeting(path: string): Promise<string> {
  const socket = connect(path)
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return String(chunk)
}

/** A socket file that nobody serves any more, as a killed process leaves it. */
async function leaveDeadSocket(path: string): Promise<void> {
  const server = createServer()
  server.listen(`${path}.alive`)
  await once(server, 'listening')
  await rename(`${path}.alive`, path)
  server.close()
  await once(server, 'close')
}

test('makes the folder, serves the socket, and leaves nothing behind', async (t) => {
  const folder = temporaryFolder(t)
  const path = `${folder}/a/b/shim.sock`

  const socket = await listen(path)
  const heard = await greeting(path)
  await socket.close()

  assert.equal(heard, 'hello')
  assert.deepEqual(await readdir(`${folder}/a/b`), [])
})

test('gives the socket mode 0660 when there is no runtime to copy from', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`

  await listenFor(t, path, `${path}.absent`)

  assert.equal((await stat(path)).mode & 0o777, 0o660)
})

test('copies mode and owner of the runtime socket', async (t) => {
  const folder = temporaryFolder(t)
  const runtime = await listenFor(t, `${folder}/runtime.sock`)
  await chmod(runtime.path, 0o606)
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(runtime.path, 12, 34)

  await listenFor(t, `${folder}/shim.sock`, runtime.path)

  const made = await stat(`${folder}/shim.sock`)
  const model = await stat(runtime.path)
  assert.deepEqual([made.mode, made.uid, made.gid], [model.mode, model.uid, model.gid])
})

test('replaces a dead socket', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`
  await leaveDeadSocket(path)
  assert.equal((await lstat(path)).isSocket(), true)

  await listenFor(t, path)

  assert.equal(await greeting(path), 'hello')
})

test('refuses a place that another instance serves, which goes on serving', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`
  await listenFor(t, path)

  await assert.rejects(listen(path), {
    code: 'UNAVAILABLE',
    message: `another instance serves ${path}; stop it first or choose another path in the configuration`,
  })

  assert.equal(await greeting(path), 'hello')
})

test('lets one of two instances win that start at once over a dead socket', async (t) => {
  const folder = temporaryFolder(t)
  const path = `${folder}/shim.sock`
  await leaveDeadSocket(path)

  const outcomes = await Promise.allSettled([listen(path), listen(path), listen(path)])

  const winners = outcomes.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  t.after(() => Promise.all(winners.map((each) => each.close())))
  assert.equal(winners.length, 1)
  assert.equal(await greeting(path), 'hello')
  assert.deepEqual(await readdir(folder), ['shim.sock'])
})

test('leaves alone what is not a socket', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`
  await writeFile(path, 'precious')

  await assert.rejects(listen(path), { code: 'CONFIG_INVALID', message: /is not a socket/ })

  assert.equal((await stat(path)).isFile(), true)
})

test('refuses a path that the system would cut', async (t) => {
  const path = `${temporaryFolder(t)}/${'s'.repeat(120)}.sock`

  await assert.rejects(listen(path), { code: 'CONFIG_INVALID', message: /longer than 107 bytes/ })
})

test('serves the longest path there is', async (t) => {
  const folder = temporaryFolder(t)
  const path = `${folder}/${'s'.repeat(107 - folder.length - 1)}`

  await listenFor(t, path)

  assert.equal(await greeting(path), 'hello')
})

test('says why a folder cannot be made', async (t) => {
  const folder = temporaryFolder(t)
  await writeFile(`${folder}/file`, '')

  await assert.rejects(listen(`${folder}/file/shim.sock`), {
    code: 'UNAVAILABLE',
    message: /cannot be opened: file already exists/,
  })
})

test('does not remove a file that has taken its place', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`
  const socket = await listen(path)
  await unlink(path)
  const other = await listenFor(t, `${path}.other`)
  await link(other.path, path)

  await socket.close()

  assert.equal(await greeting(path), 'hello')
})

test('refuses a descriptor that was handed down and is no socket', async (t) => {
  const folder = temporaryFolder(t)
  const file = await open(`${folder}/file`, 'w')
  t.after(() => file.close())
  const path = `${folder}/x.sock`

  const listening = listenOnSocket({ path, fd: file.fd, onConnection: () => {}, logger })

  await assert.rejects(listening, { code: 'UNAVAILABLE', message: /x\.sock .*descriptor/ })
  assert.deepEqual(await readdir(folder), ['file'])
})
