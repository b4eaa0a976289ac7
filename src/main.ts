import { VERSION } from '../api/version.ts'
import { run } from './cli/run.ts'

// A reader that has seen enough (`| head`) is no mistake.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`image-resolver: standard output cannot be written (${error.code})\n`)
  process.exit(1)
})

/** Loaded only when it is needed: `parse` and `--help` should answer at once. */
const opening = () => import('./service/open.ts')

process.exitCode = await run(process.argv.slice(2), {
  // Opened by the commands that read it: the stream alone is 2 ms of a start.
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  serve: async (options) => (await import('./daemon.ts')).serve({ ...options, version: VERSION }),
  resolver: async (options) => (await opening()).openResolver(options),
  node: async (options) => (await opening()).openNodeImages(options),
  names: async (options) => (await opening()).openNames(options),
  registries: async (options) => (await opening()).openRegistries(options),
  examine: async (options) => (await import('./doctor/doctor.ts')).examine(options),
  readiness: async (http, root) => (await opening()).readReadiness(http, root),
  stats: async (options) => (await opening()).readStats(options),
  fleet: async (options) => (await opening()).readFleet(options),
})
