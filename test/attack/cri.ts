import { once } from 'node:events'
import { rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { FRAME_FLAG, frame } from '../../src/http2/frames.ts'
import { bundled } from '../support/bundled.ts'
import type { Daemon } from '../support/daemon.ts'
import { callBlock, FRAME, number32, OPENING, SETTINGS } from '../support/hostile-frames.ts'
import { literal, plain } from '../support/hpack-fields.ts'
import { type Program, startProgram } from '../support/program.ts'
import type { Cleanup } from '../support/stack.ts'
import type { Attack, AttackScene, GoodClient } from './attack.ts'
import { LIST, RUNTIME, runtimeSocket, silentFile } from './runtime.ts'

const KIB = 1024
const MIB = 1024 * KIB
const FRAME_BYTES = 16 * KIB
const END_HEADERS = FRAME_FLAG.endHeaders
const NOTHING = Buffer.alloc(0)
const STATUS = '/runtime.v1.ImageService/ImageStatus'
const PULL = '/runtime.v1.ImageService/PullImage'
/** A connection that takes nothing for so long takes no more. */
const STALLED_MS = 500
/** What was said is dealt with, or held, by then. */
const HOLDING_MS = 1_000

/** A client, or many one after the other, that says this and reads the answers or not. */
interface Flood {
  readonly name: string
  /** Clients at once; in short form a fifth, and one at least. */
  readonly clients: number
  readonly chunks: (scene: AttackScene) => Iterable<Buffer>
  /** The runtime reads nothing of what the attackers' connections bring. */
  readonly isRuntimeSilent?: boolean
  readonly reads?: boolean
  /** How often each comes again. */
  readonly rounds?: number
}

const FLOODS: readonly Flood[] = [
  {
    name: '4,000 calls with 100 KiB of headers at a runtime that reads nothing',
    clients: 10,
    isRuntimeSilent: true,
    chunks: ({ isShort }) =>
      made(isShort ? 200 : 400, (n) => begin(id(n), STATUS, field(100 * KIB))),
  },
  {
    name: 'calls with long headers that are cancelled while the runtime says nothing of its version',
    clients: 10,
    isRuntimeSilent: true,
    chunks: () =>
      made(1_500, (n) => Buffer.concat([begin(id(n), STATUS, field(50 * KIB)), reset(id(n))])),
  },
  {
    name: 'bodies at a runtime that reads nothing',
    clients: 40,
    isRuntimeSilent: true,
    chunks: () => made(100, (n) => Buffer.concat([begin(id(n), STATUS), ...body(id(n), 40 * KIB)])),
  },
  {
    name: 'PullImage messages of 15 MiB that never end',
    clients: 20,
    rounds: 3,
    chunks: () => unfinished(4, 15 * MIB, 15),
  },
  {
    name: 'PullImage messages of 3 MiB that never end',
    clients: 40,
    rounds: 3,
    chunks: () => unfinished(20, 3 * MIB, 1),
  },
  {
    name: 'lists of 1 MiB that nobody reads',
    clients: 40,
    reads: false,
    chunks: () =>
      made(200, (n) => Buffer.concat([begin(id(n), LIST), data(id(n), Buffer.alloc(5), true)])),
  },
  {
    name: 'calls that are reset at once',
    clients: 5,
    rounds: 4,
    chunks: () => made(6_000, (n) => Buffer.concat([begin(id(n), STATUS), reset(id(n))])),
  },
  {
    name: 'calls that the service has to reset',
    clients: 5,
    rounds: 4,
    chunks: () =>
      made(6_000, (n) =>
        Buffer.concat([begin(id(n), STATUS), frame(FRAME.windowUpdate, 0, id(n), number32(0))]),
      ),
  },
  ...Object.entries({
    SETTINGS,
    PING: frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    'empty DATA': frame(FRAME.data, 0, 1, NOTHING),
    'empty CONTINUATION': frame(FRAME.continuation, 0, 1, NOTHING),
  }).map(
    ([what, one]): Flood => ({
      name: `floods of ${what}`,
      clients: 5,
      rounds: 4,
      reads: false,
      chunks: () => [
        frame(FRAME.headers, what.endsWith('CONTINUATION') ? 0 : END_HEADERS, 1, callBlock(STATUS)),
        ...made(100, () => Buffer.concat(Array<Buffer>(1_000).fill(one))),
      ],
    }),
  ),
]

/** By the CRI socket. */
export const attacks: readonly Attack[] = [
  ...FLOODS.map(
    (flood): Attack => ({ name: `CRI: ${flood.name}`, run: (scene) => run(scene, flood) }),
  ),
  { name: 'CRI: 3,000 connections that say nothing', run: idleConnections },
]

async function run(scene: AttackScene, flood: Flood) {
  const { daemon, good } = await start(scene)
  const { clients, rounds = 1, reads = true, isRuntimeSilent = false } = flood
  const count = scene.isShort ? Math.max(1, Math.floor(clients / 5)) : clients
  let cutOff = 0
  const attack = async (): Promise<void> => {
    if (isRuntimeSilent) writeFileSync(silentFile(scene.folder), '')
    await Promise.all(
      Array.from({ length: count }, async () => {
        for (let round = 0; round < (scene.isShort ? 1 : rounds); round += 1) {
          if (await say(daemon.socketPath, flood.chunks(scene), reads)) cutOff += 1
        }
      }),
    )
    rmSync(silentFile(scene.folder), { force: true })
  }
  return scene.measure({ daemon, good, attack, note: () => `${cutOff} were cut off` })
}

async function idleConnections(scene: AttackScene) {
  const { daemon, good } = await start(scene)
  const count = scene.isShort ? 800 : 3_000
  const attack = async (): Promise<void> => {
    const sockets: Socket[] = []
    for (let n = 0; n < count; n += 1) {
      const socket = connect(daemon.socketPath)
      socket.on('error', () => {})
      sockets.push(socket)
      socket.write(OPENING)
      if (n % 50 === 0) await sleep(5)
    }
    await sleep(HOLDING_MS)
    for (const socket of sockets) socket.destroy()
  }
  return scene.measure({ daemon, good, attack })
}

/** The service in front of a scripted runtime. */
async function start(scene: AttackScene): Promise<{ daemon: Daemon; good: GoodClient }> {
  const runtimePath = runtimeSocket(scene.folder)
  const { pid: runtimePid } = await startRuntime(scene, scene.folder)
  const daemon = await scene.start({ cri: runtimePath })
  const { socketPath } = daemon
  return { daemon, good: { kind: 'cri', socketPath, call: STATUS, runtimePath, runtimePid } }
}

/** @returns whether the service ended the connection */
async function say(path: string, chunks: Iterable<Buffer>, reads: boolean): Promise<boolean> {
  const socket = connect(path)
  socket.on('error', () => {})
  const closed = once(socket, 'close').catch(() => {})
  if (reads) socket.resume()
  else socket.pause()
  socket.write(OPENING)
  for (const chunk of chunks) {
    if (socket.destroyed) break
    if (socket.write(chunk)) continue
    await Promise.race([sleep(STALLED_MS), closed, once(socket, 'drain').catch(() => {})])
    if (socket.writableNeedDrain) break
  }
  await Promise.race([sleep(HOLDING_MS), closed])
  const isCutOff = socket.destroyed || socket.errored !== null
  socket.destroy()
  return isCutOff
}

function* made(count: number, make: (n: number) => Buffer): Iterable<Buffer> {
  for (let n = 0; n < count; n += 1) yield make(n)
}

/** Messages of that length on many streams, of which all is sent but the last byte of each. */
function* unfinished(streams: number, bytes: number, claimedMib: number): Iterable<Buffer> {
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(Math.max(bytes, claimedMib * MIB) + 1, 1)
  for (let n = 0; n < streams; n += 1) {
    yield Buffer.concat([begin(id(n), PULL), data(id(n), prefix)])
    for (const part of body(id(n), bytes)) yield part
  }
}

const id = (n: number): number => 2 * n + 1
const field = (bytes: number): Buffer =>
  literal('without', plain('x-long'), plain('x'.repeat(bytes)))
const reset = (streamId: number): Buffer => frame(FRAME.reset, 0, streamId, number32(8))

function data(streamId: number, bytes: Buffer, isEnd = false): Buffer {
  return frame(FRAME.data, isEnd ? FRAME_FLAG.endStream : 0, streamId, bytes)
}

/** A call's headers, in as many frames as they take. */
function begin(streamId: number, path: string, ...more: readonly Buffer[]): Buffer {
  const block = callBlock(path, ...more)
  const parts: Buffer[] = []
  for (let offset = 0; offset < block.length; offset += FRAME_BYTES) {
    const isLast = offset + FRAME_BYTES >= block.length
    const type = offset === 0 ? FRAME.headers : FRAME.continuation
    const part = block.subarray(offset, offset + FRAME_BYTES)
    parts.push(frame(type, isLast ? END_HEADERS : 0, streamId, part))
  }
  return Buffer.concat(parts)
}

function body(streamId: number, bytes: number): Buffer[] {
  const parts = Math.ceil(bytes / FRAME_BYTES)
  return Array.from({ length: parts }, () => data(streamId, Buffer.alloc(FRAME_BYTES)))
}

async function startRuntime(t: Cleanup, folder: string): Promise<Program> {
  const program = startProgram(process.execPath, [await bundled(RUNTIME), folder])
  t.after(() => program.kill())
  await program.line(/runtime listens/)
  return program
}
