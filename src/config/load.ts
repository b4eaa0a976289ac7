import { createHash } from 'node:crypto'
import type { Config } from './config.ts'
import { effectiveConfig } from './effective.ts'
import { readConfigFile, socketExists } from './files.ts'
import { Findings } from './findings.ts'
import { ConfigError } from './problem.ts'
import { readWritten } from './written.ts'
import { parseYaml } from './yaml.ts'

export interface LoadedConfig {
  readonly config: Config
  /** One line each: what was accepted, but not as written. */
  readonly warnings: readonly string[]
  /** Of the file's text, to see a change by; '' without a file. */
  readonly fingerprint: string
}

export interface LoadOptions {
  /** Absent: no file, the defaults hold. */
  readonly file: string | undefined
  readonly read?: (file: string) => Promise<string>
  /** Tells which runtime is on this machine, when the file names none. */
  readonly socketExists?: (path: string) => boolean
}

/**
 * The effective configuration of a file, or of none.
 *
 * @throws ConfigError with every mistake in the file, or the reason why it cannot be read
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, read = readConfigFile } = options
  return parseConfig(file === undefined ? '' : await read(file), options)
}

/**
 * The effective configuration of a file's text; image-cri-shim's files are understood as they are.
 *
 * @throws ConfigError with every mistake in it
 */
export function parseConfig(text: string, options: Omit<LoadOptions, 'read'>): LoadedConfig {
  const { file, socketExists: exists = socketExists } = options
  const { root, problems } = parseYaml(text)
  const findings = new Findings()
  const written = readWritten(root, findings)
  const config = effectiveConfig(written, file, exists, findings)
  const all = [...problems, ...findings.problems]
  if (all.length > 0) throw new ConfigError(file ?? 'configuration', all)
  return {
    config,
    warnings: findings.warnings,
    fingerprint: file === undefined ? '' : fingerprintOf(text),
  }
}

/** A short name for a text that is the same for the same text. */
export function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
