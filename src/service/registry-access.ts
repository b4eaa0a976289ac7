import type { ImageResolverClient } from '../client.ts'
import type { Config } from '../config/config.ts'
import { type ConfigPlace, readConfig } from '../config/load.ts'
import { toResolveError } from '../errors.ts'
import { silentLogger } from '../telemetry/log.ts'
import { createCore } from './core.ts'
import { type ListingOptions, RegistryAdmin } from './registry-admin.ts'
import { findService, fromService } from './running-service.ts'

/** As long as the service gives itself for one question. */
const LIMIT_MS = 30_000

interface RegistryAccessOptions extends ConfigPlace {
  /** Ask the registries from here, whether the service runs or not. */
  readonly alone: boolean
}

type Page = Omit<ListingOptions, 'signal'>

/** The configured registries, as the HTTP API tells of them. Rejects as `openRegistries` says. */
type RegistryAccess = ReturnType<typeof fromHere>

/**
 * Through the service that runs with this configuration, which knows more; without one, from here.
 *
 * @returns `alone`: why no running service is asked; undefined: one is, or none was to be. Every call
 * rejects with ResolveError
 * @throws ConfigError
 */
export async function openRegistries(options: RegistryAccessOptions): Promise<RegistryAccess> {
  const config = await readConfig(options)
  if (options.alone) return fromHere(config, undefined)
  try {
    return throughService(await findService(config.http))
  } catch (thrown) {
    return fromHere(config, toResolveError(thrown).message)
  }
}

function throughService(service: ImageResolverClient): RegistryAccess {
  return {
    alone: undefined,
    statuses: async () => ({ registries: [...(await fromService(service.registries()))] }),
    names: async () => (await fromService(service.registries())).map(({ name }) => name),
    repositories: (name, page) => fromService(service.repositories(name, page)),
    tags: (name, repository, page) => fromService(service.tags(name, repository, page)),
    close: async () => {},
  }
}

/** Every registry is asked for what is wanted of it, now. */
function fromHere(config: Config, alone: string | undefined) {
  const { health, images, keychain, close } = createCore(config, silentLogger())
  const entries = () => config.registries
  const desk = new RegistryAdmin({ entries, health, images, keychain })
  const limit = () => AbortSignal.timeout(LIMIT_MS)
  return {
    alone,
    statuses: async () => ({ registries: [...(await desk.check(limit()))] }),
    names: async () => entries().map(({ name }) => name),
    repositories: async (name: string, page: Page) => {
      const { names, last: next = null } = await desk.repositories(name, {
        ...page,
        signal: limit(),
      })
      return { registry: name, repositories: [...names], next }
    },
    tags: async (name: string, repository: string, page: Page) => {
      const { names, last: next = null } = await desk.tags(name, repository, {
        ...page,
        signal: limit(),
      })
      return { registry: name, repository, tags: [...names], next }
    },
    close,
  }
}
