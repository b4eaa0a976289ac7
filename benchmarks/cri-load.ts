import { startProgram } from '../test/support/program.ts'
import type { Cleanup } from '../test/support/stack.ts'
import { cleanly } from './cleanly.ts'
import { BYTE_PIPE } from './processes/byte-pipe.ts'
import { CRI_LOAD, type CriFigures, type CriLoad } from './processes/cri-load.ts'
import { DECODING_SHIM } from './processes/decoding-shim.ts'
import { SCRIPTED_RUNTIME } from './processes/scripted-runtime.ts'
import { TYPESCRIPT } from './typescript.ts'

/** From a process of its own. */
export function loadCri(load: CriLoad): Promise<readonly CriFigures[]> {
  return cleanly(async (cleanup) => {
    const environment = { LOAD: JSON.stringify(load) }
    const program = startProgram(process.execPath, [...TYPESCRIPT, CRI_LOAD], environment)
    cleanup.after(() => program.kill())
    const [line] = await program.line(/^\[\{.*\}\]$/m)
    return JSON.parse(line) as readonly CriFigures[]
  })
}

/** Listens at the socket until the end. */
export function startScriptedRuntime(cleanup: Cleanup, socket: string): Promise<void> {
  return startUntilReady(cleanup, [SCRIPTED_RUNTIME, socket])
}

/** Passes bytes on between another socket and a runtime's until the end. */
export function startBytePipe(cleanup: Cleanup, socket: string, runtime: string): Promise<void> {
  return startUntilReady(cleanup, [BYTE_PIPE, socket, runtime])
}

/** Serves the image service of a runtime at another socket until the end. */
export function startDecodingShim(
  cleanup: Cleanup,
  socket: string,
  runtime: string,
): Promise<void> {
  return startUntilReady(cleanup, [DECODING_SHIM, socket, runtime])
}

async function startUntilReady(cleanup: Cleanup, args: readonly string[]): Promise<void> {
  const program = startProgram(process.execPath, [...TYPESCRIPT, ...args])
  cleanup.after(() => program.kill())
  await program.line(/"ready"/)
}
