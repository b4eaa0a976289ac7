#!/usr/bin/env node
import { VERSION } from '../api/version.ts'
import { run } from './cli/run.ts'

// A reader that has seen enough (`| head`) is no mistake.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') return
  process.stderr.write(`image-resolver: standard output cannot be written (${error.code})\n`)
  process.exit(1)
})

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  environment: process.env,
  // Loaded only when they are needed: `parse` and `--help` should answer at once.
  serve: async (options) => (await import('./daemon.ts')).serve({ ...options, version: VERSION }),
  node: async (options) => (await import('./service/node-images.ts')).openNodeImages(options),
  names: async (options) => (await import('./service/node-names.ts')).openNodeNames(options),
  registries: async (options) =>
    (await import('./service/registry-access.ts')).openRegistries(options),
  stats: async (options) => (await import('./service/running-service.ts')).readStats(options),
  answers: async (options) => (await import('./service/answer-source.ts')).openAnswers(options),
})
