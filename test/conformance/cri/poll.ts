import { within } from '../../support/process-state.ts'

/** What never comes true gets there; a machine that is busy does not. */
const LIMIT_MS = 60_000

/** Asks over and over, until the answer is yes. */
export async function until(question: () => Promise<boolean>): Promise<void> {
  if (!(await within(LIMIT_MS, question))) throw new Error(`not within ${LIMIT_MS} ms`)
}

export async function works(call: () => Promise<unknown>): Promise<boolean> {
  return call().then(
    () => true,
    () => false,
  )
}
