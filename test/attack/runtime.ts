import { existsSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { respondFramed } from '../support/fake-runtime.ts'
import { framed } from '../support/grpc-frames.ts'
import { startRawServer } from '../support/listen.ts'
import { startRecordingRuntime } from '../support/recording-runtime.ts'

// `runtime.ts FOLDER`: a scripted runtime at FOLDER/runtime.sock, in a process of its own, so that the
// attackers do not slow it down. While the file FOLDER/silent exists it reads nothing from new connections.

export const LIST = '/runtime.v1.ImageService/ListImages'
export const RUNTIME = fileURLToPath(import.meta.url)
/** One for all calls: thousands that nobody reads would take gigabytes, and the runtime seconds to write them. */
const LIST_ANSWER = framed(Buffer.alloc(1024 * 1024))

if (process.argv[1] === RUNTIME) {
  const folder = process.argv[2] ?? ''
  const t = { after: () => {} }
  const behind = `${folder}/behind.sock`
  const { fake } = await startRecordingRuntime(t, behind, { table: true })
  fake.handle(LIST, ({ stream }) => {
    fake.calls.length = 0
    respondFramed(stream, LIST_ANSWER)
  })
  const forward = (socket: Socket): void => {
    if (existsSync(silentFile(folder))) return void socket.pause()
    const there = connect(behind)
    there.on('error', () => socket.destroy()).on('close', () => socket.destroy())
    socket.on('close', () => there.destroy())
    socket.pipe(there).pipe(socket)
  }
  await startRawServer(t, forward, { path: runtimeSocket(folder) })
  process.stdout.write('runtime listens\n')
}

export function runtimeSocket(folder: string): string {
  return `${folder}/runtime.sock`
}

export function silentFile(folder: string): string {
  return `${folder}/silent`
}
