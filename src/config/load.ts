import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type { Config } from './config.ts'
import { effectiveConfig } from './effective.ts'
import { readConfigFile, socketExists } from './files.ts'
import { Findings } from './findings.ts'
import type { HostsFiles } from './hosts-files.ts'
import { ConfigError } from './problem.ts'
import type { Environment } from './proxy.ts'
import { scopeNotes } from './scope-notes.ts'
import { readWritten } from './written.ts'
import { parseYaml } from './yaml.ts'

export interface LoadedConfig {
  readonly config: Config
  /** One line each: what was accepted, but not as written. */
  readonly warnings: readonly string[]
  /** One line each: what is as written, and may not be what was meant. */
  readonly notes: readonly string[]
  /** Those of the warnings that are of files which a part of the registries could not be read from. */
  readonly broken: readonly string[]
  /** The file says nothing, so that the defaults hold. */
  readonly blank: boolean
  /** Of everything that was read, to see a change by; '' when nothing was. */
  readonly fingerprint: string
}

export interface LoadOptions {
  /** Absent: no file, the defaults hold. */
  readonly file: string | undefined
  /** A portoshim.yaml named on the command line, which then counts instead of the file's. */
  readonly portoshim?: string | undefined
  readonly read?: (file: string) => Promise<string>
  /** What is below `hostsDir`. Default: the file system. */
  readonly hosts?: HostsFiles
  /** Tells which runtime is on this machine, when the file names none. */
  readonly socketExists?: (path: string) => boolean
  /** Where proxies are looked for when the file has no `proxy:`. Default: this process's. */
  readonly env?: Environment
}

/**
 * The effective configuration of a file, or of none, with what it names: `hostsDir` and `portoshim`.
 *
 * @throws ConfigError with every mistake in a file, or the reason why it cannot be read
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, portoshim, read = readConfigFile, hosts } = options
  const parsed = parseConfig(file === undefined ? '' : await read(file), options)
  const named =
    portoshim === undefined ? parsed.config : { ...parsed.config, portoshim: resolve(portoshim) }
  if (named.hostsDir === undefined && named.portoshim === undefined) {
    return { ...parsed, notes: [...parsed.notes, ...scopeNotes(parsed.config)] }
  }
  // What reads TOML is not worth loading where there is none.
  const { readElsewhere } = await import('./elsewhere.ts')
  const elsewhere = await readElsewhere(named, read, hosts)
  return {
    config: elsewhere.config,
    warnings: [...parsed.warnings, ...elsewhere.warnings],
    notes: [...parsed.notes, ...scopeNotes(elsewhere.config)],
    broken: elsewhere.broken,
    blank: parsed.blank,
    fingerprint: fingerprintOf(`${parsed.fingerprint}\n${elsewhere.content}`),
  }
}

/**
 * The effective configuration of a file's text; image-cri-shim's files are understood as they are.
 * No other file is read.
 *
 * @throws ConfigError with every mistake in it
 */
export function parseConfig(
  text: string,
  options: Pick<LoadOptions, 'file' | 'socketExists' | 'env'>,
): LoadedConfig {
  const { file, socketExists: exists = socketExists, env = process.env } = options
  const { root, problems } = parseYaml(text)
  const findings = new Findings()
  const written = readWritten(root, findings)
  const config = effectiveConfig(written, { file, socketExists: exists, env }, findings)
  const all = [...problems, ...findings.problems]
  if (all.length > 0) throw new ConfigError(file ?? 'configuration', all)
  return {
    config,
    warnings: findings.warnings,
    notes: findings.notes,
    broken: [],
    blank: root === undefined,
    fingerprint: file === undefined ? '' : fingerprintOf(text),
  }
}

function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
