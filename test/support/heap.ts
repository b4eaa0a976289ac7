import { once } from 'node:events'
import { WebSocket } from 'undici'
import type { Program } from './program.ts'
import type { Cleanup } from './stack.ts'

const MIB = 1024 * 1024
const COLLECT = { method: 'HeapProfiler.collectGarbage' } as const
const USAGE = {
  method: 'Runtime.evaluate',
  params: { expression: 'JSON.stringify(process.memoryUsage())' },
} as const

/** The memory of a Node program as it sees that itself. */
export interface ProgramHeap {
  /** What is left after the garbage is collected: objects and the bytes of buffers, in MiB. */
  liveMiB(): Promise<number>
  /** Before the program is ended: Node waits at its exit until its inspector is left. */
  close(): void
}

/** Wakes the inspector of a program that runs with `--inspect-port=127.0.0.1:0`. */
export async function openHeap(t: Cleanup, program: Program): Promise<ProgramHeap> {
  process.kill(program.pid, 'SIGUSR1')
  const [, url = ''] = await program.line(/Debugger listening on (ws:\/\/\S+)/)
  const socket = new WebSocket(url)
  t.after(() => socket.close())
  await once(socket, 'open')
  const answers = new Map<number, (result: Result) => void>()
  let asked = 0
  socket.addEventListener('message', ({ data }) => {
    const { id, result } = JSON.parse(String(data))
    answers.get(id)?.(result)
    answers.delete(id)
  })

  function ask(question: typeof COLLECT | typeof USAGE): Promise<Result> {
    asked += 1
    socket.send(JSON.stringify({ id: asked, ...question }))
    return new Promise((resolve) => answers.set(asked, resolve))
  }

  return {
    close: () => socket.close(),
    liveMiB: async () => {
      // What the first one finalizes is let go of between the two, and collected by the second.
      await ask(COLLECT)
      await ask(COLLECT)
      const { result } = await ask(USAGE)
      const { heapUsed, external } = JSON.parse(result?.value ?? '')
      return (heapUsed + external) / MIB
    },
  }
}

interface Result {
  readonly result?: { readonly value: string }
}
