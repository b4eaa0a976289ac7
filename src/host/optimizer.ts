import { setFlagsFromString } from 'node:v8'

/** Whether the operator has chosen any of these flags of Node or V8, which then stay as they are. */
export function isChosen(flags: RegExp): boolean {
  return flags.test([...process.execArgv, process.env['NODE_OPTIONS']].join(' '))
}

const isOurs = !isChosen(/jitless|maglev|turbofan|-opt\b/)
let pauses = 0

/**
 * Turns Maglev off for good, a compiler of V8 that Node 20 does not use: it holds 40 MiB after load. Not to be called
 * before the start is over: Node has the code of its own modules compiled for the flags that it was built with, and all
 * others cost the start a tenth.
 */
export function leaveMaglevOut(): void {
  if (isOurs) setFlagsFromString('--no-maglev')
}

/**
 * Keeps V8's optimising compiler from what is compiled from now on. It takes 5 MiB from its first use, most of them
 * pages of the Node binary.
 *
 * @returns ends the pause; the last one that ends turns it on again
 */
export function pauseOptimizer(): () => void {
  if (!isOurs) return () => {}
  pauses += 1
  setFlagsFromString('--no-turbofan')
  let isPaused = true
  return () => {
    if (!isPaused) return
    isPaused = false
    pauses -= 1
    if (pauses === 0) setFlagsFromString('--turbofan')
  }
}

let hasClient = false
let resume = (): void => {}

/** Pauses it until there is a client, unless there was one already. */
export function pauseUntilClient(): void {
  if (!hasClient) resume = pauseOptimizer()
}

/** A client has connected: what runs from now on is worth being optimised. */
export function clientCame(): void {
  hasClient = true
  resume()
}
