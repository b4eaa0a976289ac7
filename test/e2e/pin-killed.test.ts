import assert from 'node:assert/strict'
import { readdirSync, readFileSync, watch, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { MAIN } from '../support/daemon.ts'
import { startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'

const ROUNDS = 8
/** On a busy machine a file may be whole each time before this process hears of it: then there are more rounds, up to so many. */
const MOST_ROUNDS = 80
const IMAGE = 'docker.io/team/app:1'
const DIGEST = `sha256:${'12'.repeat(32)}`

// Round n kills the program when it has made, or begun to fill, the file that is to take the place of the n-th one.
test('files of a pin that is killed while it writes are old or new, and the next one leaves nothing beside them', async (t) => {
  const folder = temporaryFolder(t)
  const lock = join(temporaryFolder(t), 'lock.yaml')
  writeFileSync(lock, `version: 1\nimages:\n  ${IMAGE}:\n    digest: ${DIGEST}\n`)
  // Long, so that writing one takes long enough to be killed in.
  const comment = `# ${'x'.repeat(1_000)}\n`.repeat(1_000)
  const oldText = `services: {app: {image: "${IMAGE}"}}\n${comment}`
  const newText = oldText.replace(IMAGE, `${IMAGE}@${DIGEST}`)
  const names = Array.from(
    { length: ROUNDS },
    (_, n) => `compose-${String(n).padStart(2, '0')}.yaml`,
  )
  const start = () =>
    startProgram(process.execPath, [
      ...MAIN,
      ...['pin', folder, '--write', '--offline', '--lock', lock],
    ])
  let leftovers = 0
  const goesOn = (round: number) => round <= ROUNDS || (leftovers === 0 && round <= MOST_ROUNDS)
  for (let round = 1; goesOn(round); round += 1) {
    for (const name of names) writeFileSync(join(folder, name), oldText)
    const before = readdirSync(folder)
    const seen = new Set<string>()
    const program = start()
    const watcher = watch(folder, (event, name) => {
      if (name?.endsWith('.new') !== true || before.includes(name)) return
      seen.add(name)
      const isTime =
        seen.size > (round - 1) % ROUNDS && event === (round % 2 === 0 ? 'change' : 'rename')
      if (isTime) void program.kill()
    })
    await program.ended()
    watcher.close()

    const texts = names.map((name) => readFileSync(join(folder, name), 'utf8'))
    const written = texts.filter((text) => text === newText).length
    assert.ok(
      texts.every((text) => text === newText || text === oldText),
      `round ${round}`,
    )
    const left = readdirSync(folder).filter((name) => name.endsWith('.new')).length
    leftovers += left
    t.diagnostic(`round ${round}: ${written} files are new, ${left} is half written`)
  }
  assert.ok(leftovers > 0, 'it was always killed between two files')

  for (const name of names) writeFileSync(join(folder, name), oldText)
  const last = start()
  await last.ended()

  assert.deepEqual([last.exitCode(), readdirSync(folder)], [0, names], last.output())
  assert.ok(names.every((name) => readFileSync(join(folder, name), 'utf8') === newText))
})
