import { ConfigFile } from '../../api/v1/config.ts'
import type { SharedStoreFields } from '../../api/v1/config-registry.ts'
import type { Effect, Filled, ObjectSchema } from '../../api/v1/schema.ts'
import { fieldsOf } from '../json.ts'
import type { Endpoint } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { filledName } from './schema.ts'

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

type ConfigFields = Filled<typeof ConfigFile>

/** The effective configuration: what the file says (`api/v1/config.ts`), in full, and what is found out beside it. */
export interface Config
  extends Omit<
    ConfigFields,
    OfflineField | 'cache' | 'offlinePriority' | 'proxy' | 'registries' | 'resolvers'
  > {
  /** The file it was read from; undefined when there is none and the defaults hold. */
  readonly file: string | undefined
  /** The file names `shim` or `cri`, so that without the CRI server the service is not ready. */
  readonly criExpected: boolean
  readonly cache: Omit<ConfigFields['cache'], 'shared'> & {
    /** The store that the nodes of a fleet share; undefined: none. */
    readonly shared: SharedStoreConfig | undefined
  }
  /** In the order they are asked: priority, then the offline one, then name. */
  readonly registries: readonly RegistryEntry[]
  /** Services that are asked before any registry, in this order. */
  readonly resolvers: readonly ResolverEntry[]
  /**
   * A reference may name a registry on loopback although none is configured there: for a command that its
   * user gave the reference, not for a service that is asked by others. Default: no.
   */
  readonly loopbackOrigins?: boolean
  /** As in HTTP_PROXY, HTTPS_PROXY and NO_PROXY. */
  readonly proxy: ProxyConfig
  /** The sandbox image of a portoshim.yaml, resolved at the start and kept warm. */
  readonly pauseImage: string | undefined
}

/** What stands beside the top-level address, and is for it alone. */
export const OFFLINE_FIELDS = [
  'auth',
  'ca',
  'cert',
  'key',
  'insecureSkipVerify',
  'plainHttp',
] as const
type OfflineField = (typeof OFFLINE_FIELDS)[number] | 'address'

export type ProxyConfig = NonNullable<ConfigFields['proxy']>
export type HttpConfig = ConfigFields['http']
export type KeychainConfig = ConfigFields['keychain']
export type MirrorConfig = ConfigFields['mirror']
export type ConfigMapConfig = NonNullable<ConfigFields['configMap']>

/** A Valkey or Redis. */
export interface SharedStoreConfig extends Filled<typeof SharedStoreFields> {
  readonly address: StoreAddress
  /** Other machines can reach the store, and what it says crosses the network in the clear. */
  readonly isPlainOnNetwork: boolean
}

export interface StoreAddress {
  readonly kind: 'single' | 'sentinel' | 'cluster'
  readonly isTls: boolean
  /** At least one; exactly one of a single server. */
  readonly hosts: readonly (StoreHost | { readonly path: string })[]
  readonly db: number
  /** The name that sentinels have for it. */
  readonly master?: string
}

export interface StoreHost {
  readonly host: string
  readonly port: number
}

/** A service like this one that answers for others. */
export interface ResolverEntry {
  /** Its host, authorities and the path before `/resolve`. */
  readonly endpoint: Endpoint
  readonly tokenFile: string | undefined
}

/** A field as the file calls it, and the steps to it in Config. */
export interface Place {
  readonly name: string
  readonly steps: readonly string[]
}

/** The fields of which a change takes effect so. @param isAll whether each of `schema` does */
export function fieldsThat(
  effect: Effect,
  schema: ObjectSchema = ConfigFile,
  isAll = false,
): readonly Place[] {
  return Object.entries(schema.properties).flatMap(([name, field]): readonly Place[] => {
    const steps = [filledName(name, field)]
    const isMeant = field.effect === effect
    if (isAll || field.type !== 'object') return isAll || isMeant ? [{ name, steps }] : []
    return fieldsThat(effect, field, isMeant).map((below) => ({
      name: `${name}.${below.name}`,
      steps: [...steps, ...below.steps],
    }))
  })
}

export function valueAt(config: Config, { steps }: Place): unknown {
  return steps.reduce<unknown>((value, step) => fieldsOf(value)[step], config)
}
