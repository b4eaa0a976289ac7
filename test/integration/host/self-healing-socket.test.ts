import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { chmod, link, lstat, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { type ListeningSocket, listenOnSocket } from '../../../src/host/unix-socket.ts'
import { temporaryFolder } from '../../support/stack.ts'

const LOST = 'the file of the socket was lost; it is made anew'
const IN_THE_WAY = 'the file of the socket is lost; trying to make it anew'
const BACK = 'the file of the socket is back'

/** Time for one socket: it stands still until the test lets the next look at the file begin. */
class Looks {
  #planned: (() => void) | undefined
  #heard: (() => void) | undefined
  #plannedMs: number | undefined

  readonly after = (ms: number, run: () => void): (() => void) => {
    this.#planned = run
    this.#plannedMs = ms
    this.#heard?.()
    return () => {
      this.#planned = undefined
      this.#plannedMs = undefined
    }
  }

  /** In so many milliseconds; undefined: never. */
  get plannedMs(): number | undefined {
    return this.#plannedMs
  }

  begin(): void {
    const run = this.#planned
    assert.ok(run, 'a look is planned')
    this.#planned = undefined
    run()
  }

  /** Resolves when it is over, which is when the next one is planned. */
  async look(): Promise<void> {
    const over = new Promise<void>((resolve) => {
      this.#heard = resolve
    })
    this.begin()
    await over
  }
}

interface Scene {
  readonly socket: ListeningSocket
  readonly looks: Looks
  /** What was logged: level, message, and the field that says more. */
  readonly logged: string[][]
  /** What the server has accepted and not ended. */
  readonly accepted: Socket[]
}

async function keep(t: TestContext, path: string, like?: string): Promise<Scene> {
  const looks = new Looks()
  const logged: string[][] = []
  const accepted: Socket[] = []
  const write = (line: string): void => {
    const { level, msg, was, reason } = JSON.parse(line)
    logged.push([pino.levels.labels[level], msg, was ?? reason ?? []].flat())
  }
  const socket = await listenOnSocket({
    path,
    ...(like !== undefined && { like }),
    onConnection: (connection) => {
      accepted.push(connection)
      connection.on('error', () => {}).write('ours')
    },
    logger: pino({}, { write }),
    after: looks.after,
  })
  t.after(async () => {
    for (const each of accepted) each.destroy()
    await socket.close()
  })
  return { socket, looks, logged, accepted }
}

async function connected(t: TestContext, path: string): Promise<Socket> {
  const socket = connect(path)
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** What whoever serves that path says. */
async function greeting(t: TestContext, path: string): Promise<string> {
  const socket = connect(path)
  t.after(() => socket.destroy())
  const [chunk] = await once(socket, 'data')
  socket.destroy()
  return String(chunk)
}

/** Another program, that asks nobody: it throws out what is there. */
async function usurp(t: TestContext, path: string): Promise<Server> {
  const other = createServer((connection) => {
    connection.on('error', () => {}).end('theirs')
  })
  await rm(path, { force: true })
  other.listen(path)
  t.after(() => other.close())
  await once(other, 'listening')
  return other
}

async function refuses(path: string): Promise<string> {
  const socket = connect(path)
  const [error] = await once(socket, 'error')
  return (error as NodeJS.ErrnoException).code ?? ''
}

const inUse = (path: string): string =>
  `another instance serves ${path}; stop it first or choose another path in the configuration`

test('looks at its file every two seconds, and says nothing while it is there', async (t) => {
  const path = `${temporaryFolder(t)}/shim.sock`
  const { looks, logged, socket } = await keep(t, path)
  const before = await stat(path)

  await looks.look()
  await looks.look()

  assert.equal(looks.plannedMs, 2_000)
  assert.equal((await stat(path)).ino, before.ino)
  assert.equal(socket.unavailableReason(), undefined)
  assert.deepEqual(logged, [])
})

test('listens anew where its file was deleted, and says so once', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, logged, socket } = await keep(t, `${folder}/shim.sock`)
  await rm(socket.path)
  assert.equal(await refuses(socket.path), 'ENOENT')

  await looks.look()
  await looks.look()

  assert.equal(await greeting(t, socket.path), 'ours')
  assert.equal(socket.unavailableReason(), undefined)
  assert.deepEqual(logged, [['warn', LOST, 'removed']])
  assert.deepEqual(await readdir(folder), ['shim.sock'])
})

test('no longer listens where it cannot be reached', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, socket } = await keep(t, `${folder}/shim.sock`)
  await rename(socket.path, `${folder}/aside`)

  await looks.look()

  assert.equal(await refuses(`${folder}/aside`), 'ECONNREFUSED')
})

test('listens anew as often as its file is deleted', async (t) => {
  const { looks, logged, socket } = await keep(t, `${temporaryFolder(t)}/shim.sock`)

  for (let time = 1; time <= 3; time += 1) {
    await rm(socket.path)
    await looks.look()
    assert.equal(await greeting(t, socket.path), 'ours')
    assert.equal(logged.length, time)
  }
})

test('makes the folder anew too, and gives the socket the mode of the runtime’s again', async (t) => {
  const folder = temporaryFolder(t)
  const runtime = await keep(t, `${folder}/runtime.sock`)
  await chmod(runtime.socket.path, 0o606)
  const { looks, socket } = await keep(t, `${folder}/run/shim.sock`, runtime.socket.path)
  await rm(`${folder}/run`, { recursive: true })

  await looks.look()

  assert.equal(await greeting(t, socket.path), 'ours')
  assert.equal((await stat(socket.path)).mode & 0o777, 0o606)
})

test('leaves the connections alone that exist', async (t) => {
  const { accepted, looks, socket } = await keep(t, `${temporaryFolder(t)}/shim.sock`)
  const client = await connected(t, socket.path)
  await once(client, 'data')
  await rm(socket.path)

  await looks.look()
  const heard = once(client, 'data')
  accepted[0]?.write('still ours')

  assert.equal(String((await heard)[0]), 'still ours')
})

test('leaves alone another program that has taken the place, and takes it back when that one ends', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, logged, socket } = await keep(t, `${folder}/shim.sock`)
  const other = await usurp(t, socket.path)

  await looks.look()
  await looks.look()
  assert.equal(await greeting(t, socket.path), 'theirs')
  assert.equal(socket.unavailableReason(), inUse(socket.path))
  assert.deepEqual(logged.splice(0), [['warn', IN_THE_WAY, inUse(socket.path)]])

  other.close()
  await once(other, 'close')
  await looks.look()

  assert.equal(await greeting(t, socket.path), 'ours')
  assert.equal(socket.unavailableReason(), undefined)
  assert.deepEqual(logged, [['warn', LOST, 'removed']])
  assert.deepEqual(await readdir(folder), ['shim.sock'])
})

test('takes the place of a program that was killed there', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, logged, socket } = await keep(t, `${folder}/shim.sock`)
  const killed = await usurp(t, `${folder}/killed.sock`)
  await rename(`${folder}/killed.sock`, socket.path)
  killed.close()
  await once(killed, 'close')
  assert.equal(await refuses(socket.path), 'ECONNREFUSED')

  await looks.look()

  assert.equal(await greeting(t, socket.path), 'ours')
  assert.deepEqual(logged, [['warn', LOST, 'replaced']])
})

test('leaves alone a file that is no socket', async (t) => {
  const { looks, logged, socket } = await keep(t, `${temporaryFolder(t)}/shim.sock`)
  await rm(socket.path)
  await writeFile(socket.path, 'precious')

  await looks.look()
  await looks.look()

  assert.equal((await lstat(socket.path)).isFile(), true)
  const reason = `${socket.path} exists and is not a socket; remove it or choose another path in the configuration`
  assert.equal(socket.unavailableReason(), reason)
  assert.deepEqual(logged, [['warn', IN_THE_WAY, reason]])
})

test('goes on looking where it cannot be made anew, and says once what is in the way', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, logged, socket } = await keep(t, `${folder}/run/shim.sock`)
  await rm(`${folder}/run`, { recursive: true })
  await writeFile(`${folder}/run`, '')

  await looks.look()
  await looks.look()
  assert.deepEqual(
    logged.splice(0).map(([level, message]) => [level, message]),
    [['warn', IN_THE_WAY]],
  )
  assert.match(socket.unavailableReason() ?? '', /cannot be opened: /)

  await rm(`${folder}/run`)
  await looks.look()
  assert.equal(await greeting(t, socket.path), 'ours')
  assert.deepEqual(logged, [['warn', LOST, 'removed']])
})

test('a file that was moved away and back is still its own', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, logged, socket } = await keep(t, `${folder}/shim.sock`)
  const { ino } = await stat(socket.path)
  await rename(socket.path, `${folder}/aside`)
  await mkdir(socket.path)
  await looks.look()
  assert.notEqual(socket.unavailableReason(), undefined)

  await rm(socket.path, { recursive: true })
  await rename(`${folder}/aside`, socket.path)
  await looks.look()

  assert.equal((await stat(socket.path)).ino, ino)
  assert.equal(socket.unavailableReason(), undefined)
  assert.deepEqual(logged.at(-1), ['info', BACK])
})

test('two that have lost one path do not fight for it: one serves, the other names the owner', async (t) => {
  const folder = temporaryFolder(t)
  const path = `${folder}/shim.sock`
  const first = await keep(t, path)
  await rename(path, `${folder}/aside`)
  const second = await keep(t, path)
  await rm(path)
  await rm(`${folder}/aside`)

  for (let time = 0; time < 3; time += 1)
    await Promise.all([first.looks.look(), second.looks.look()])
  const { ino } = await stat(path)
  await Promise.all([first.looks.look(), second.looks.look()])

  assert.equal((await stat(path)).ino, ino)
  const reasons = [first, second].map(({ socket }) => socket.unavailableReason())
  assert.deepEqual(
    reasons.filter((each) => each !== undefined),
    [inUse(path)],
  )
  assert.equal(await greeting(t, path), 'ours')
  assert.deepEqual(await readdir(folder), ['shim.sock'])
})

test('does not look any more once it is closed, and removes what it made anew', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, socket } = await keep(t, `${folder}/shim.sock`)
  await rm(socket.path)
  await looks.look()

  await socket.close()

  assert.equal(looks.plannedMs, undefined)
  assert.deepEqual(await readdir(folder), [])
})

test('closed while it looks, it makes nothing anew', async (t) => {
  const folder = temporaryFolder(t)
  const { looks, socket } = await keep(t, `${folder}/run/shim.sock`)
  await rm(`${folder}/run`, { recursive: true })

  looks.begin()
  await socket.close()

  assert.deepEqual(await readdir(folder), [])
})

test('closed while it is made anew, it turns away clients that have connected by then', async (t) => {
  const folder = temporaryFolder(t)
  const { accepted, looks, socket } = await keep(t, `${folder}/shim.sock`)
  await rm(socket.path)

  looks.begin()
  let names: readonly string[] = []
  while (names.length === 0) {
    await new Promise(setImmediate)
    names = readdirSync(folder)
  }
  // The kernel has taken it before the next line runs, and the server hears of it after that.
  const client = connect(`${folder}/${names[0]}`).resume()
  await Promise.all([once(client, 'close'), socket.close()])

  assert.deepEqual(accepted, [])
})

test('closed at whatever moment of being made anew, it leaves no file and accepts no client', async (t) => {
  for (let turns = 0; turns < 80; turns += 1) {
    const folder = temporaryFolder(t)
    const { accepted, looks, socket } = await keep(t, `${folder}/shim.sock`)
    await rm(socket.path)

    looks.begin()
    for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate)
    const before = accepted.length
    const closed = socket.close()
    // So that a listener would be found whose file went away under another name.
    const [name] = await readdir(folder)
    if (name !== undefined) await link(`${folder}/${name}`, `${folder}/kept`).catch(() => {})
    await closed

    const left = await readdir(folder)
    assert.deepEqual(
      left.filter((each) => each !== 'kept'),
      [],
      `after ${turns} turns`,
    )
    if (left.includes('kept')) assert.equal(await refuses(`${folder}/kept`), 'ECONNREFUSED')
    assert.equal(accepted.length, before)
    assert.equal(looks.plannedMs, undefined)
  }
})
