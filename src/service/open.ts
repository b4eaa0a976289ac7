import { homedir } from 'node:os'
import { performance } from 'node:perf_hooks'
import type {
  RegistriesResponse,
  RepositoriesResponse,
  TagsResponse,
} from '../../api/v1/registries.ts'
import type { StatsResponse } from '../../api/v1/stats.ts'
import { systemClock } from '../concurrency/clock.ts'
import type { Config, Environment, HttpConfig, SharedStoreConfig } from '../config/config.ts'
import { socketExists } from '../config/files.ts'
import { type ConfigPlace, readConfig } from '../config/load.ts'
import { detectRuntime } from '../config/values.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import type { PageOptions } from '../http/registry-admin.ts'
import { parseNormalized } from '../reference/reference.ts'
import type { FleetNode, FleetSurvey } from '../shared-cache/nodes.ts'
import { SharedMetrics } from '../telemetry/counters.ts'
import { silentLogger } from '../telemetry/log.ts'
import { type OpenedResolver, openAvailabilityCheck } from './availability.ts'
import { createCore } from './core.ts'

// What each command of the command line opens. Everything else is loaded by the function that needs it.

/** Where a command has registries asked: from here, or by a service elsewhere. */
export interface ResolverPlace extends ConfigPlace {
  /** As in openRemote; absent: from here. */
  readonly server?: string | undefined
  readonly tokenFile?: string | undefined
}

/** As long as a person, or a job in CI, waits for a registry that wants a pause. */
const MAX_PAUSE_MS = 60_000

/**
 * What answers references and looks for images, from the service's configuration and without its servers. Without a
 * file it asks as crane and skopeo do: with the logins of the user, and registries on loopback when a reference
 * names one.
 *
 * @param environment where logins are looked for; default: this process's
 * @throws ConfigError; ResolveError as openRemote
 */
export async function openResolver(
  place: ResolverPlace,
  environment: Environment = process.env,
): Promise<OpenedResolver> {
  if (place.server !== undefined) {
    return (await import('./remote.ts')).openRemote(place.server, place.tokenFile)
  }
  const config = await readConfig(place)
  const isWritten = config.file !== undefined
  const core = createCore(isWritten ? config : await forUser(config, environment), silentLogger())
  const { answers, resolver } = core
  const ending = new AbortController()
  return {
    ...openAvailabilityCheck(core, { maxPauseMs: MAX_PAUSE_MS, signal: ending.signal }),
    askedFor(input) {
      try {
        return resolver.candidates(parseNormalized(input)).map(({ registry }) => registry)
      } catch {
        return []
      }
    },
    answer: answers.answer.bind(answers),
    close: () => {
      ending.abort()
      return core.close()
    },
  }
}

async function forUser(config: Config, environment: Environment): Promise<Config> {
  const { loginFiles } = await import('../credentials/docker.ts')
  const dockerConfigs = loginFiles(environment, environment['HOME'] || homedir())
  return { ...config, keychain: { ...config.keychain, dockerConfigs }, loopbackOrigins: true }
}

/**
 * The images of this node, through the socket of the service that runs with this configuration.
 *
 * @throws ConfigError
 */
export async function openNodeImages(place: ConfigPlace) {
  const { http, shim, version } = await readConfig(place)
  const { NodeImages } = await import('../runtime/node-images.ts')
  return new NodeImages({
    shim,
    version,
    whyClosed: async () => (await import('./running-service.ts')).whyNotServed(http, 'cri'),
    known: async (reference) => {
      const { findService } = await import('./running-service.ts')
      const { digest, imageId } = await (await findService(http)).resolve(reference)
      return digest === null ? undefined : { digest, imageId }
    },
  })
}

/**
 * The names of this node's images, in the runtime itself, and the configured registries.
 *
 * @throws ConfigError; ResolveError as openNodeNames of the runtime, and UNAVAILABLE where there is none
 */
export async function openNames(place: ConfigPlace) {
  const { cri, registries, version } = await readConfig(place)
  const path = cri ?? detectRuntime(socketExists)
  if (path === undefined) {
    throw new ResolveError('UNAVAILABLE', 'there is no CRI runtime on this machine; set cri:')
  }
  const runtime = await import('../runtime/node-names.ts')
  return { ...(await runtime.openNodeNames(path, version)), registries }
}

/**
 * The numbers of the service that runs with this configuration.
 *
 * @throws ResolveError as findService, or what the service answers with; ConfigError
 */
export async function readStats(place: ConfigPlace): Promise<StatsResponse> {
  const { http } = await readConfig(place)
  const { findService, fromService } = await import('./running-service.ts')
  const service = await findService(http).catch((thrown: unknown) => {
    const { code, message } = toResolveError(thrown)
    const hint = 'only a running service counts; is it running, and is this its http.listen?'
    throw new ResolveError(code, `${message}: ${hint}`, { cause: thrown })
  })
  return fromService(service.stats())
}

/**
 * The nodes that share a store with those of this configuration.
 *
 * @throws ResolveError CONFIG_INVALID where none is configured, UNAVAILABLE while it does not answer; ConfigError
 */
export async function readFleet(place: ConfigPlace): Promise<readonly FleetNode[]> {
  const { shared } = (await readConfig(place)).cache
  if (shared === undefined) {
    const how = 'only nodes that share a store know of each other'
    throw new ResolveError('CONFIG_INVALID', `cache.shared is not configured: ${how}`)
  }
  return (await askStore(shared)).nodes
}

/**
 * Which nodes share a store.
 *
 * @throws ResolveError UNAVAILABLE that says why it cannot be asked
 */
export async function askStore(shared: SharedStoreConfig): Promise<FleetSurvey> {
  const { surveyStore } = await import('../shared-cache/open.ts')
  return surveyStore(shared, {
    metrics: new SharedMetrics(),
    clock: systemClock,
    steady: () => performance.now(),
    logger: silentLogger(),
  }).catch((thrown: unknown) => {
    const { message } = toResolveError(thrown)
    throw new ResolveError('UNAVAILABLE', message, { cause: thrown })
  })
}

/**
 * What the service says that listens there: whether it is ready, and which version it is. Never rejects.
 *
 * @param root before the path of a unix socket: where another root is mounted
 */
export async function readReadiness(http: HttpConfig, root: string) {
  const { findService, readReadyz } = await import('./running-service.ts')
  const listen = http.listen.replace(/^unix:\/\//, `unix://${root}`)
  const there = { ...http, listen }
  try {
    const { doors, status } = await readReadyz(there)
    const closed = doors.filter(({ open }) => !open)
    const version = await (await findService(there)).version().catch(() => undefined)
    return {
      isReady: status === 'ready',
      reason: closed.map(({ door, reason }) => `${door}: ${reason ?? 'not open'}`).join('; '),
      version: version?.version,
    }
  } catch (thrown) {
    return { isReady: false, reason: toResolveError(thrown).message, version: undefined }
  }
}

/** As long as the service gives itself for one request. */
const LIMIT_MS = 30_000

export type Page = Omit<PageOptions, 'signal'>

/** The configured registries, as the HTTP API shows them. Every call rejects with ResolveError. */
export interface RegistryAccess {
  /** Why no running service is asked; undefined: one is, or none was to be. */
  readonly alone: string | undefined
  /** In the order of asking. Without a service each of them is asked for it, now. */
  statuses(): Promise<RegistriesResponse>
  /** In the order of asking. */
  names(): Promise<readonly string[]>
  repositories(name: string, page: Page): Promise<RepositoriesResponse>
  tags(name: string, repository: string, page: Page): Promise<TagsResponse>
  close(): Promise<void>
}

/**
 * The configured registries, through the service that runs with this configuration; without one, they are
 * asked by this process.
 *
 * @param options `alone`: ask the registries from this process, also where the service runs
 * @throws ConfigError
 */
export async function openRegistries(
  options: ConfigPlace & { readonly alone: boolean },
): Promise<RegistryAccess> {
  const config = await readConfig(options)
  if (options.alone) return fromHere(config, undefined)
  const { findService, fromService } = await import('./running-service.ts')
  try {
    const service = await findService(config.http)
    return {
      alone: undefined,
      statuses: async () => ({ registries: [...(await fromService(service.registries()))] }),
      names: async () => (await fromService(service.registries())).map(({ name }) => name),
      repositories: (name, page) => fromService(service.repositories(name, page)),
      tags: (name, repository, page) => fromService(service.tags(name, repository, page)),
      close: async () => {},
    }
  } catch (thrown) {
    return fromHere(config, toResolveError(thrown).message)
  }
}

/** Every registry is asked for what is wanted of it, now. */
async function fromHere(config: Config, alone: string | undefined): Promise<RegistryAccess> {
  const { RegistryAdmin } = await import('../http/registry-admin.ts')
  const { health, images, keychain, close } = createCore(config, silentLogger())
  const entries = () => config.registries
  const admin = new RegistryAdmin({ entries, health, images, keychain })
  const within = (page: Page) => ({ ...page, signal: AbortSignal.timeout(LIMIT_MS) })
  return {
    alone,
    statuses: async () => ({
      registries: [...(await admin.check(AbortSignal.timeout(LIMIT_MS)))],
    }),
    names: async () => entries().map(({ name }) => name),
    repositories: (name, page) => admin.repositories(name, within(page)),
    tags: (name, repository, page) => admin.tags(name, repository, within(page)),
    close,
  }
}
