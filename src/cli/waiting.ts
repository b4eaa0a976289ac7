import type { Sheet } from './ink.ts'
import { visible } from './table.ts'

export interface Onlookers {
  readonly stderr: Sheet
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Runs something again and again; returns what ends that. Default: the clock of this process. */
  readonly every?: ((ms: number, run: () => void) => () => void) | undefined
}

const SECOND_MS = 1_000
/** With what stands around it, a line of a terminal. */
const MAX_SHOWN = 40
const ERASED = '\r\u001b[K'

/**
 * Tells on standard error whom a command waits for: on a terminal each second, in a line that is gone
 * with the answer; anywhere else once, after a second.
 *
 * @param whom a registry, or several with commas between
 * @returns what `work` does
 */
export async function waiting<T>(
  whom: string,
  work: Promise<T>,
  { stderr, environment, every = everyInterval }: Onlookers,
): Promise<T> {
  const redrawn = stderr.isTTY === true && environment['TERM'] !== 'dumb'
  const shown = visible(whom.length > MAX_SHOWN ? `${whom.slice(0, MAX_SHOWN)}…` : whom)
  let seconds = 0
  const cancel = every(SECOND_MS, () => {
    seconds += 1
    const line = `still waiting for ${shown} (${seconds} s)`
    if (redrawn) stderr.write(`${ERASED}${line}`)
    else if (seconds === 1) stderr.write(`image-resolver: ${line}\n`)
  })
  try {
    return await work
  } finally {
    cancel()
    if (redrawn && seconds > 0) stderr.write(ERASED)
  }
}

function everyInterval(ms: number, run: () => void): () => void {
  const timer = setInterval(run, ms)
  return () => clearInterval(timer)
}
