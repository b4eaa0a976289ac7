import { parseArgs } from 'node:util'
import type { FileOption } from './world.ts'

const OPTIONS = {
  config: { type: 'string', short: 'f' },
  // image-cri-shim's name for it.
  file: { type: 'string' },
  portoshim: { type: 'string' },
  json: { type: 'boolean' },
  platform: { type: 'string' },
  explain: { type: 'boolean' },
  all: { type: 'boolean' },
  node: { type: 'boolean' },
  check: { type: 'boolean' },
  limit: { type: 'string' },
  'dry-run': { type: 'boolean' },
  domain: { type: 'string' },
  write: { type: 'string' },
  server: { type: 'string' },
  force: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

export type OptionName = keyof typeof OPTIONS
export type Values = ReturnType<typeof readArguments>['values']

/** A mistake on the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError for an option that no command has, or one without its value */
export function readArguments(args: readonly string[]) {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown), {
      cause: thrown,
    })
  }
}

export function filesOf(values: Values): FileOption {
  const { portoshim } = values
  return { file: fileOf(values), ...(portoshim === undefined ? {} : { portoshim }) }
}

export function fileOf(values: Values): string | undefined {
  return values.config ?? values.file
}

/** More than a terminal shows, and more than most registries hold. */
const DEFAULT_LIMIT = 10_000
const MAX_LIMIT = 1_000_000

/** @throws UsageError */
export function limitOf({ limit }: Values): number {
  if (limit === undefined) return DEFAULT_LIMIT
  const count = /^\d{1,7}$/.test(limit) ? Number(limit) : 0
  if (count >= 1 && count <= MAX_LIMIT) return count
  throw new UsageError(`--limit is a number from 1 to ${MAX_LIMIT}`)
}
