import type { RegistryEntry } from '../registry/entry.ts'
import { canonicalDomain } from '../registry/public-registries.ts'
import { inAskingOrder, servesKey } from './asking-order.ts'
import type { Config } from './config.ts'
import { type HostsFiles, readHostsDir } from './sources/hosts-dir.ts'
import { parsePortoshim } from './sources/portoshim.ts'

/** A configuration together with what the other files say that it names. */
interface Includes {
  readonly config: Config
  /** One line each, with the name of its file. */
  readonly warnings: readonly string[]
  /** Those of the warnings that are of files which cannot be used. */
  readonly broken: readonly string[]
  /** The same for as long as those files mean the same. */
  readonly content: string
}

/**
 * Reads `hostsDir` and `portoshim`. Registries written in the configuration itself win over those
 * of the same address from there, then hosts.toml files over Portoshim.
 *
 * @throws ConfigError when the portoshim.yaml is not usable
 */
export async function readIncludes(
  config: Config,
  read: (file: string) => Promise<string>,
  files: HostsFiles | undefined,
): Promise<Includes> {
  const { hostsDir, portoshim } = config
  const hosts = hostsDir === undefined ? undefined : await readHostsDir(hostsDir, files)
  const shim =
    portoshim === undefined ? undefined : parsePortoshim(await read(portoshim), portoshim)
  const { entries, warnings } = joined(config.registries, [
    ...(hosts?.entries ?? []).map((entry) => ({ ...entry, source: 'hostsDir' as const })),
    ...(shim?.entries ?? []).map((entry) => ({ ...entry, source: 'portoshim' as const })),
  ])
  return {
    config: {
      ...config,
      registries: inAskingOrder(entries),
      mirrorsOnly: [...new Set([...config.mirrorsOnly, ...(hosts?.mirrorsOnly ?? [])])],
      pauseImage: shim?.pauseImage,
    },
    warnings: [
      ...(hosts?.warnings ?? []),
      ...(shim?.warnings ?? []).map((warning) => `${portoshim}: ${warning}`),
      ...warnings,
    ],
    broken: hosts?.broken ?? [],
    content: JSON.stringify([hosts, shim]),
  }
}

/** The same registry written twice is one: the first one counts, and `own` come before the others. */
function joined(
  own: readonly RegistryEntry[],
  others: readonly RegistryEntry[],
): { readonly entries: readonly RegistryEntry[]; readonly warnings: readonly string[] } {
  const written = new Set(own.map(addressKey))
  const known = new Set<string>()
  const warnings: string[] = []
  const kept = others.filter((entry) => {
    const isWritten = written.has(addressKey(entry))
    if (isWritten || known.has(servesKey(entry))) {
      const why = isWritten ? 'this configuration has that registry' : 'hostsDir has that registry'
      warnings.push(`${entry.source}: ${entry.name} is left out: ${why}`)
      return false
    }
    known.add(servesKey(entry))
    return true
  })
  return { entries: [...own, ...kept], warnings }
}

function addressKey({ endpoint }: RegistryEntry): string {
  return `${canonicalDomain(endpoint.host)}/${endpoint.prefix}`
}
