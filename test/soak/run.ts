import { parseArgs } from 'node:util'
import { printReport } from './report.ts'
import { soak } from './soak.ts'

// `npm run test:soak`, or with `-- --seconds 60 --seed 7`. Wants containerd and docker-registry.

const TEN_MINUTES = '600'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: TEN_MINUTES },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
  },
})
const ends: (() => unknown)[] = []
try {
  const seed = Number(values.seed)
  process.stdout.write(`seed ${seed}\n`)
  const report = await soak(
    { after: (end) => ends.unshift(end) },
    { seconds: Number(values.seconds), seed },
  )
  process.stdout.write(printReport(report))
  process.exitCode = report.problems.length === 0 ? 0 : 1
} finally {
  for (const end of ends) await end()
}
