import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { scopeNotes } from './asking-order.ts'
import type { Config } from './config.ts'
import { type DecodedConfig, decodeConfig } from './decode.ts'
import { ConfigError, Diagnostics } from './diagnostics.ts'
import { effectiveConfig, type Surroundings } from './effective.ts'
import { findConfigFile, readConfigFile, socketExists } from './files.ts'
import type { Environment } from './proxy.ts'
import type { ConfigMapReader } from './sources/config-map.ts'
import type { HostsFiles } from './sources/hosts-dir.ts'
import { guarded, merged, readShared } from './sources/shared-config.ts'
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
  /** Reads the ConfigMap that the file names. Default: one that keeps nothing. */
  readonly configMaps?: ConfigMapReader
}

/**
 * The effective configuration of a file, or of none, with what it names: `hostsDir` and `portoshim`.
 *
 * @throws ConfigError with every mistake in a file, or the reason why it cannot be read
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, portoshim, read = readConfigFile, hosts } = options
  const text = file === undefined ? '' : await read(file)
  const own = parseConfig(text, options)
  const parsed = own.config.configMap === undefined ? own : await withConfigMap(own, text, options)
  const named =
    portoshim === undefined ? parsed.config : { ...parsed.config, portoshim: resolve(portoshim) }
  if (named.hostsDir === undefined && named.portoshim === undefined) {
    return { ...parsed, notes: [...parsed.notes, ...scopeNotes(parsed.config)] }
  }
  // What reads TOML is not worth loading where there is none.
  const { readIncludes } = await import('./includes.ts')
  const includes = await readIncludes(named, read, hosts)
  return {
    config: includes.config,
    warnings: [...parsed.warnings, ...includes.warnings],
    notes: [...parsed.notes, ...scopeNotes(includes.config)],
    broken: includes.broken,
    blank: parsed.blank,
    fingerprint: fingerprintOf(`${parsed.fingerprint}\n${includes.content}`),
  }
}

/** The file together with the ConfigMap that it names; what is wrong with that one is a warning. */
async function withConfigMap(
  own: LoadedConfig,
  text: string,
  options: LoadOptions,
): Promise<LoadedConfig> {
  const { configMap, image: folder } = own.config
  if (configMap === undefined) return own
  const { ConfigMapReader: Reader } = await import('./sources/config-map.ts')
  const { configMaps = new Reader() } = options
  const read = await configMaps.read(configMap, folder)
  const parsedWith = (shared: string): LoadedConfig => parseConfig(text, options, shared)
  try {
    const loaded = read.text === undefined ? own : parsedWith(read.text)
    if (read.problem === undefined && read.text !== undefined) {
      await configMaps.accept(read.text, folder)
    }
    return warned(loaded, read.problem)
  } catch (thrown) {
    const { problem, text: good } = configMaps.failed(configMap, thrown)
    return warned(good === undefined || good === read.text ? own : parsedWith(good), problem)
  }
}

function warned(loaded: LoadedConfig, problem: string | undefined): LoadedConfig {
  return problem === undefined ? loaded : { ...loaded, warnings: [...loaded.warnings, problem] }
}

/**
 * The effective configuration of a file's text; image-cri-shim's files are understood as they are.
 * No other file is read.
 *
 * @param shared what a ConfigMap says, which goes before the file
 * @throws ConfigError with every mistake in it
 */
export function parseConfig(
  text: string,
  options: Pick<LoadOptions, 'file' | 'socketExists' | 'env'>,
  shared?: string,
): LoadedConfig {
  const { file, socketExists: exists = socketExists, env = process.env } = options
  const { root, problems } = parseYaml(text)
  const diagnostics = new Diagnostics()
  const decoded = decodeConfig(root, diagnostics)
  const surroundings = { file, socketExists: exists, env }
  const own = effectiveConfig(decoded, surroundings, diagnostics)
  const all = [...problems, ...diagnostics.problems]
  if (all.length > 0) throw new ConfigError(file ?? 'configuration', all)
  const config =
    shared === undefined ? own : sharedConfig(decoded, own, shared, surroundings, diagnostics)
  return {
    config,
    warnings: diagnostics.warnings,
    notes: diagnostics.notes,
    broken: [],
    blank: root === undefined,
    fingerprint: file === undefined ? '' : fingerprintOf(`${text}${shared ?? ''}`),
  }
}

/** @throws ConfigError with the mistakes in what is shared */
function sharedConfig(
  decoded: DecodedConfig,
  own: Config,
  text: string,
  surroundings: Surroundings,
  diagnostics: Diagnostics,
): Config {
  const { root, problems } = parseYaml(text)
  const found = new Diagnostics()
  const config = effectiveConfig(merged(decoded, readShared(root, found)), surroundings, found)
  const all = [...problems, ...found.problems]
  if (all.length > 0) throw new ConfigError('registries.yaml', all)
  // The warnings and notes of the file are of entries that may not be there any more.
  diagnostics.warnings.splice(0, Number.POSITIVE_INFINITY, ...found.warnings)
  diagnostics.notes.splice(0, Number.POSITIVE_INFINITY, ...found.notes)
  return { ...config, registries: guarded(config.registries, own.registries) }
}

function fingerprintOf(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

export interface ConfigPlace {
  /** As given on the command line; undefined: where the service looks. */
  readonly file: string | undefined
  /** A portoshim.yaml, from the command line. */
  readonly portoshim?: string
}

/** @throws ConfigError */
export async function readConfig({ file: explicit, portoshim }: ConfigPlace): Promise<Config> {
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  return (await loadConfig({ file, portoshim })).config
}
