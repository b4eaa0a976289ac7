import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const TICK_SHAPE = new URL('../../../src/host/tick-shape.ts', import.meta.url).href

test('of the objects of process.nextTick one outlives a collection, so that V8 remembers how to make them', () => {
  const script = `
    import { createHook } from 'node:async_hooks'
    import { keepTickShape } from '${TICK_SHAPE}'
    const made = []
    const hook = createHook({
      init(id, type, trigger, resource) {
        if (type === 'TickObject') made.push(new WeakRef(resource))
      },
    })
    hook.enable()
    process.nextTick(() => {})
    keepTickShape()
    hook.disable()
    const pause = () => new Promise((resolve) => setImmediate(resolve))
    await pause()
    gc()
    await pause()
    process.stdout.write(JSON.stringify(made.map((each) => each.deref() !== undefined)))
  `
  const args = ['--expose-gc', '--import', 'tsx', '--input-type=module', '-e', script]
  const output = execFileSync(process.execPath, args, { encoding: 'utf8' })

  assert.deepEqual(JSON.parse(output), [false, true])
})
