#!/usr/bin/env node
import { VERSION } from '../api/version.ts'
import { run } from './cli/run.ts'

// A reader that has seen enough (`| head`) is no mistake.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`image-resolver: standard output cannot be written (${error.code})\n`)
  process.exit(1)
})

/** Loaded only when it is needed: `parse` and `--help` should answer at once. */
const commands = () => import('./service/commands.ts')

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  serve: async (options) => (await import('./daemon.ts')).serve({ ...options, version: VERSION }),
  availability: async (options) => (await commands()).openAvailability(options),
  node: async (options) => (await commands()).openNodeImages(options),
  names: async (options) => (await commands()).openNodeNames(options),
  registries: async (options) => (await commands()).openRegistries(options),
  examine: async (options) => (await import('./doctor/doctor.ts')).examine(options),
  readiness: async (http, root) => (await commands()).readReadiness(http, root),
  stats: async (options) => (await commands()).readStats(options),
  fleet: async (options) => (await commands()).readFleet(options),
  answers: async (options) => (await commands()).openAnswers(options),
})
