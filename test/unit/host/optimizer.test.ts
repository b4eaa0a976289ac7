import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const OPTIMIZER = new URL('../../../src/host/optimizer.ts', import.meta.url).href

/**
 * Whether V8 has optimised a function that ran often after each of these lines. In a process of its own, since that is
 * decided for all of a process.
 *
 * @param flags of Node
 */
function optimised(lines: readonly string[], ...flags: readonly string[]): readonly boolean[] {
  const script = `
    import { clientCame, pauseOptimizer, pauseUntilClient } from '${OPTIMIZER}'
    const TURBOFANNED = 64
    const found = []
    function often() {
      const add = new Function('a', 'b', 'return a + b + ' + found.length)
      for (let n = 0; n < 3_000_000; n += 1) add(n, 1)
      found.push((%GetOptimizationStatus(add) & TURBOFANNED) !== 0)
    }
    // With add inlined in it, add itself would not be optimised.
    %NeverOptimizeFunction(often)
    ${lines.map((line) => `${line};often()`).join('\n')}
    process.stdout.write(JSON.stringify(found))
  `
  const options = [...flags, '--no-concurrent-recompilation', '--allow-natives-syntax']
  const args = [...options, '--import', 'tsx', '--input-type=module', '-e', script]
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }))
}

test('what runs before the first client is not optimised, and what runs after that is', () => {
  assert.deepEqual(optimised(['', 'pauseUntilClient()', 'clientCame()']), [true, false, true])
})

test('a client that comes before the start is over leaves nothing to wait for', () => {
  assert.deepEqual(optimised(['clientCame()', 'pauseUntilClient()']), [true, true])
})

test('of two pauses the last one that ends lets V8 optimise again', () => {
  const lines = [
    'pauseUntilClient()',
    'const resume = pauseOptimizer()',
    'clientCame()',
    'resume()',
  ]

  assert.deepEqual(optimised(lines), [false, false, false, true])
})

test('an operator who has chosen how V8 compiles is not overruled', () => {
  assert.deepEqual(optimised(['pauseUntilClient()'], '--turbofan'), [true])
})
