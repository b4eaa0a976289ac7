import { writeFileSync } from 'node:fs'
import { endEverything } from './cleanly.ts'
import { PARTS } from './parts.ts'
import { Pace } from './turns.ts'

// One part in a process of its own: `part.ts NAME OUTPUT [--quick]`. What it found goes to OUTPUT as
// JSON. Told to end, it ends what it started first.

const [name, output = '', ...flags] = process.argv.slice(2)
const part = PARTS.find((each) => each.name === name)
if (part === undefined) throw new Error(`there is no part ${name}`)

process.once('SIGTERM', () => {
  // What is broken off complains, and must not end us before everything else is put away.
  process.on('uncaughtException', () => {})
  void endEverything().finally(() => process.exit(1))
})

const { measure } = await part.load()
const pace = new Pace(flags.includes('--quick'), part.targetSeconds, () => performance.now())
const findings = await measure(pace)
const shortage = pace.shortage()
const missing = [...(findings.missing ?? []), ...(shortage === undefined ? [] : [shortage])]
writeFileSync(output, JSON.stringify({ ...findings, missing }))
// Nothing that was left open may keep the suite waiting.
process.exit(0)
