#!/usr/bin/env node
import { run } from './cli/run.ts'

process.exitCode = await run(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  // Loaded only when they are needed: `parse` and `--help` should answer at once.
  serve: async (options) => (await import('./daemon.ts')).serve(options),
  node: async (options) => (await import('./service/node-images.ts')).openNodeImages(options),
  names: async (options) => (await import('./node-names.ts')).openNodeNames(options),
  answers: async (options) => (await import('./daemon.ts')).openAnswers(options),
})
