import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bestPossible } from '../../../benchmarks/cache/best-possible.ts'
import { scored } from '../../../benchmarks/cache/strategy.ts'
import { nextUses, seededRandom } from '../../../benchmarks/cache/stream.ts'

const versionAt = () => 1

test('the next use of a tag is where it comes again, or never', () => {
  assert.deepEqual(
    [...nextUses(Int32Array.from([1, 2, 1, 1]))],
    [2, Number.POSITIVE_INFINITY, 3, Number.POSITIVE_INFINITY],
  )
})

test('no replacement does better, as trying all of them shows', () => {
  const random = seededRandom(3)
  for (let round = 0; round < 40; round += 1) {
    const tags = Array.from({ length: 10 }, () => Math.floor(random() * 5))

    assert.equal(misses(tags, 2), fewestMisses(tags, 2, []), tags.join(' '))
  }
})

function misses(tags: readonly number[], size: number): number {
  const stream = Int32Array.from(tags)
  const limits = { size, ttlMs: Number.POSITIVE_INFINITY, versionAt }
  const times = Float64Array.from(tags.keys())
  const strategy = bestPossible({ ...limits, nextUse: nextUses(stream) })
  return scored(strategy, { tags: stream, times, versionAt }).gets
}

/** May also keep what it has and let the newcomer pass. */
function fewestMisses(tags: readonly number[], size: number, kept: readonly number[]): number {
  const [tag, ...rest] = tags
  if (tag === undefined) return 0
  if (kept.includes(tag)) return fewestMisses(rest, size, kept)
  if (kept.length < size) return 1 + fewestMisses(rest, size, [...kept, tag])
  const choices = [kept, ...kept.map((gone) => [...kept.filter((each) => each !== gone), tag])]
  return 1 + Math.min(...choices.map((choice) => fewestMisses(rest, size, choice)))
}
