import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { ConfigFile } from '../../api/v1/config.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import type { Config } from './config.ts'
import { Diagnostics } from './diagnostics.ts'
import { effectiveConfig, type Surroundings } from './effective.ts'
import { findConfigFile, namedFileProblems, readConfigFile } from './files.ts'
import { inAskingOrder, scopeNotes, servesKey } from './registries.ts'
import { decode } from './schema.ts'
import type { HostsFiles } from './sources/hosts-dir.ts'
import type { ConfigMapReader } from './sources/image-cri-shim.ts'
import { parseYaml } from './yaml.ts'

export interface LoadedConfig {
  readonly config: Config
  /** One line each: what was accepted, but not as written. */
  readonly warnings: readonly string[]
  /** One line each: what is as written, and may not be what was meant. */
  readonly notes: readonly string[]
  /** Of the warnings those about files of registries that could not be read. */
  readonly broken: readonly string[]
  /** The file says nothing, so that the defaults hold. */
  readonly blank: boolean
  /** Of everything that was read, to see a change by; '' when nothing was. */
  readonly fingerprint: string
}

export interface LoadOptions extends Surroundings {
  /** A portoshim.yaml named on the command line, which then counts instead of the file's. */
  readonly portoshim?: string | undefined
  readonly read?: (file: string) => Promise<string>
  /** What is below `hostsDir`. Default: the file system. */
  readonly hosts?: HostsFiles
  /** Reads the ConfigMap that the file names. Default: one that keeps nothing. */
  readonly configMaps?: ConfigMapReader
}

/**
 * The effective configuration of a file, or of none, with what it names: `configMap`, `hostsDir` and
 * `portoshim`.
 *
 * @throws ConfigError with every mistake in a file, or the reason why it cannot be read
 */
export async function loadConfig(options: LoadOptions): Promise<LoadedConfig> {
  const { file, portoshim, read = readConfigFile, hosts } = options
  const text = file === undefined ? '' : await read(file)
  const own = parseConfig(text, options)
  const loaded = own.config.configMap === undefined ? own : await withConfigMap(own, text, options)
  const config =
    portoshim === undefined ? loaded.config : { ...loaded.config, portoshim: resolve(portoshim) }
  const included = await withIncludes({ ...loaded, config }, read, hosts)
  return { ...included, notes: [...included.notes, ...scopeNotes(included.config)] }
}

/**
 * The effective configuration of a file's text; image-cri-shim's files are understood as they are.
 * No other file is read.
 *
 * @throws ConfigError with every mistake in it
 */
export function parseConfig(text: string, options: Surroundings): LoadedConfig {
  const { file } = options
  const { root, problems } = parseYaml(text)
  const diagnostics = new Diagnostics(problems)
  const config = effectiveConfig(decode(ConfigFile, root, diagnostics), options, diagnostics)
  diagnostics.check(file ?? 'configuration')
  return {
    config,
    warnings: diagnostics.warnings,
    notes: diagnostics.notes,
    broken: [],
    blank: root === undefined,
    fingerprint: file === undefined ? '' : fingerprintOf(text),
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
  const {
    ConfigMapReader: Reader,
    guarded,
    merged,
    readShared,
  } = await import('./sources/image-cri-shim.ts')
  const { configMaps = new Reader() } = options
  const read = await configMaps.read(configMap, folder)
  const parsedWith = (shared: string): LoadedConfig => {
    const { root, problems } = parseYaml(shared)
    const diagnostics = new Diagnostics(problems)
    const file = decode(ConfigFile, parseYaml(text).root, new Diagnostics())
    const decoded = merged(file, readShared(root, diagnostics))
    const config = effectiveConfig(decoded, options, diagnostics)
    diagnostics.check('registries.yaml')
    return {
      ...own,
      config: { ...config, registries: guarded(config.registries, own.config.registries) },
      // Those of the file are of entries that may not be there any more.
      warnings: diagnostics.warnings,
      notes: diagnostics.notes,
      fingerprint: fingerprintOf(`${text}${shared}`),
    }
  }
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
 * Adds what `hostsDir` and `portoshim` say. Registries written in the configuration itself win over
 * those of the same address from there, then hosts.toml files over Portoshim.
 *
 * @throws ConfigError when the portoshim.yaml is not usable
 */
async function withIncludes(
  loaded: LoadedConfig,
  read: (file: string) => Promise<string>,
  files: HostsFiles | undefined,
): Promise<LoadedConfig> {
  const { config } = loaded
  const { hostsDir, portoshim } = config
  if (hostsDir === undefined && portoshim === undefined) return loaded
  // What reads TOML is not worth loading where there is none.
  const hosts =
    hostsDir === undefined
      ? undefined
      : await (await import('./sources/hosts-dir.ts')).readHostsDir(hostsDir, files)
  const shim =
    portoshim === undefined
      ? undefined
      : (await import('./sources/portoshim.ts')).parsePortoshim(await read(portoshim), portoshim)
  const { entries, warnings } = joined(config.registries, [
    ...(hosts?.entries ?? []).map((entry) => ({ ...entry, source: 'hostsDir' as const })),
    ...(shim?.entries ?? []).map((entry) => ({ ...entry, source: 'portoshim' as const })),
  ])
  return {
    ...loaded,
    config: {
      ...config,
      registries: inAskingOrder(entries),
      mirrorsOnly: [...new Set([...config.mirrorsOnly, ...(hosts?.mirrorsOnly ?? [])])],
      pauseImage: shim?.pauseImage,
    },
    warnings: [
      ...loaded.warnings,
      ...(hosts?.warnings ?? []),
      ...(shim?.warnings ?? []).map((warning) => `${portoshim}: ${warning}`),
      ...warnings,
    ],
    broken: hosts?.broken ?? [],
    fingerprint: fingerprintOf(`${loaded.fingerprint}\n${JSON.stringify([hosts, shim])}`),
  }
}

/** The same registry written twice is one: the first one counts, and `own` come before the others. */
function joined(
  own: readonly RegistryEntry[],
  others: readonly RegistryEntry[],
): { readonly entries: readonly RegistryEntry[]; readonly warnings: readonly string[] } {
  const addressKey = ({ endpoint }: RegistryEntry): string =>
    `${canonicalDomain(endpoint.host)}/${endpoint.prefix}`
  const ownAddresses = new Set(own.map(addressKey))
  const known = new Set<string>()
  const warnings: string[] = []
  const kept = others.filter((entry) => {
    const isOwn = ownAddresses.has(addressKey(entry))
    if (isOwn || known.has(servesKey(entry))) {
      const why = isOwn ? 'this configuration has that registry' : 'hostsDir has that registry'
      warnings.push(`${entry.source}: ${entry.name} is left out: ${why}`)
      return false
    }
    known.add(servesKey(entry))
    return true
  })
  return { entries: [...own, ...kept], warnings }
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
  const file = await findConfigFile(explicit)
  return (await loadConfig({ file, portoshim })).config
}

/**
 * What is odd about the files that a configuration names, and what the runtime's own files do not say yet
 * about registries of plain http.
 *
 * @returns one line each
 */
export async function fileWarnings(config: Config): Promise<readonly string[]> {
  const named = (await namedFileProblems(config)).map(({ message }) => message)
  if (config.registries.every(({ endpoint }) => endpoint.scheme === 'https')) return named
  const { runtimeWarnings } = await import('./runtime-files.ts')
  return [...named, ...(await runtimeWarnings(config))]
}
