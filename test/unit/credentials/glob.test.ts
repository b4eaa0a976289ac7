import assert from 'node:assert/strict'
import { test } from 'node:test'
import { matchesGlob, parseGlob } from '../../../src/credentials/image-pattern.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const MATCHES: readonly [pattern: string, text: string, expected: boolean][] = [
  ['corp', 'corp', true],
  ['corp', 'corps', false],
  ['corp', 'cor', false],
  ['', '', true],
  ['', 'a', false],
  ['*', '', true],
  ['*', 'anything', true],
  ['app*', 'app', true],
  ['app*', 'app-1', true],
  ['app*', 'ap', false],
  ['*app', 'my-app', true],
  ['a*b*c', 'aXbXbXc', true],
  ['a*b*c', 'aXbXb', false],
  ['*-*', 'a-b', true],
  ['**', 'a', true],
  ['?', 'a', true],
  ['?', '', false],
  ['?', 'ab', false],
  ['a?c', 'abc', true],
  ['[a-c]x', 'bx', true],
  ['[a-c]x', 'dx', false],
  ['[^a-c]x', 'dx', true],
  ['[^a-c]x', 'ax', false],
  ['[abc0-9]', '7', true],
  ['[a\\-z]', '-', true],
  ['[a\\-z]', 'm', false],
  ['\\*', '*', true],
  ['\\*', 'a', false],
]

for (const [pattern, text, expected] of MATCHES) {
  test(`"${pattern}" ${expected ? 'matches' : 'does not match'} "${text}"`, () => {
    const glob = parseGlob(pattern)

    assert.ok(glob !== undefined)
    assert.equal(matchesGlob(glob, text), expected)
  })
}

test('a malformed pattern is none', () => {
  const patterns = ['[', '[]', '[a', 'a]b[', '[a-]', '[-a]', '\\', '[^]']

  assert.deepEqual(
    patterns.filter((pattern) => parseGlob(pattern) !== undefined),
    [],
  )
})

test('a pattern of many stars takes no time', () => {
  const glob = parseGlob(`${'*a'.repeat(40)}b`)

  const ms = cpuMs(() => assert.equal(matchesGlob(glob ?? [], 'a'.repeat(5_000)), false))

  // Where every star is tried with every end it takes for ever.
  assert.ok(ms < 2_000, `${ms} ms`)
})
