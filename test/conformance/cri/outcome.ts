import assert from 'node:assert/strict'
import { isRuntimeError } from '../../../src/runtime/call.ts'

export interface Outcome {
  /** 0: it succeeded. */
  readonly code: number
  readonly details: string
  readonly answer?: unknown
}

/** What came back, or the error as the client saw it. */
export async function outcomeOf(call: Promise<unknown>): Promise<Outcome> {
  return call.then(
    (answer) => ({ code: 0, details: '', answer }),
    (error: unknown) => {
      assert.ok(isRuntimeError(error), String(error))
      return { code: error.code, details: error.details }
    },
  )
}
