import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AttemptOutcome, type ErrorCode, ResolveError } from '../../../src/errors.ts'
import { isAbsence } from '../../../src/resolver/unresolved-error.ts'

function failed(code: ErrorCode, outcomes: readonly AttemptOutcome[]): ResolveError {
  return new ResolveError(code, 'failed', {
    attempts: outcomes.map((outcome, index) => ({
      registry: `registry-${index}`,
      step: 'manifest',
      outcome,
      ms: 1,
    })),
  })
}

test('it is absent where every registry said so', () => {
  assert.ok(isAbsence(failed('MANIFEST_UNKNOWN', ['not_found'])))
  assert.ok(isAbsence(failed('PLATFORM_UNKNOWN', ['not_found', 'not_found'])))
})

test('it is not absent for a registry that was not asked, or did not say', () => {
  const unsure: readonly AttemptOutcome[] = [
    'ok',
    'unauthorized',
    'denied',
    'rate_limited',
    'unsupported',
    'invalid',
    'unreachable',
    'server_error',
    'timeout',
    'canceled',
    'skipped',
  ]

  for (const outcome of unsure) {
    assert.ok(!isAbsence(failed('MANIFEST_UNKNOWN', ['not_found', outcome])), outcome)
  }
})

test('no other error means that it is absent', () => {
  for (const code of ['UNAUTHORIZED', 'DENIED', 'UNAVAILABLE', 'UNKNOWN'] as const) {
    assert.ok(!isAbsence(failed(code, ['not_found'])), code)
  }
})

test('where no registry was asked nothing is absent', () => {
  assert.ok(!isAbsence(failed('MANIFEST_UNKNOWN', [])))
})
