import { type IncomingHttpHeaders, request as send } from 'node:http'
import { systemClock } from '../../src/concurrency/clock.ts'
import { buildApp } from '../../src/http/app.ts'
import { listenHttp } from '../../src/http/listen.ts'
import type { MirrorLimits } from '../../src/http/mirror/context.ts'
import { mirrorRoutes } from '../../src/http/mirror/routes.ts'
import { credentialsFingerprint } from '../../src/registry/credentials.ts'
import type { RegistryEntry } from '../../src/registry/entry.ts'
import { RegistryHealth } from '../../src/registry/health.ts'
import { ConfiguredRegistries } from '../../src/registry/registries.ts'
import { ResolutionCache } from '../../src/resolver/cache/cache.ts'
import { Resolver } from '../../src/resolver/resolver.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { anAnswer, ScriptedAnswers } from './http-app.ts'
import { AMD64, startImages } from './registry-images.ts'
import type { Cleanup } from './stack.ts'

export interface MirrorSettings {
  readonly limits?: Partial<MirrorLimits>
  /** Default: the registries of the internet that tests name. */
  readonly mirrorsOnly?: readonly string[]
  /** Limit of the head of one registry's answer. */
  readonly attemptTimeoutMs?: number
}

/** What came back, whole, or as far as it came. */
export interface MirrorReply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  /** All came that was promised. */
  readonly complete: boolean
}

export interface TestMirror {
  readonly url: string
  readonly host: string
  readonly health: RegistryHealth
  get(path: string, headers?: Readonly<Record<string, string>>): Promise<MirrorReply>
  ask(
    method: string,
    path: string,
    headers?: Readonly<Record<string, string>>,
  ): Promise<MirrorReply>
}

/** Registries as the operator would configure them: private ones, for everybody's images. */
export function place(
  { url }: { readonly url: string },
  fields: Partial<RegistryEntry> = {},
): RegistryEntry {
  const { host } = new URL(url)
  const endpoint = { scheme: 'http', host, prefix: '' } as const
  return { name: host, endpoint, priority: 500, offline: false, ...fields }
}

/** The HTTP door with its mirror end-point on a port of its own, with a real resolver behind it. */
export async function startMirror(
  t: Cleanup,
  entries: readonly RegistryEntry[],
  {
    limits = {},
    mirrorsOnly = ['docker.io', 'quay.io'],
    attemptTimeoutMs = 60_000,
  }: MirrorSettings = {},
): Promise<TestMirror> {
  const source = startImages(t, { attemptTimeoutMs })
  const registries = new ConfiguredRegistries(entries, 1, mirrorsOnly)
  const health = new RegistryHealth({ now: Date.now, steady: () => performance.now() })
  const cacheLimits = { size: 64, tagTtlMs: 60_000, keepMs: 86_400_000 }
  const resolver = new Resolver({
    source,
    registries: () => registries,
    health,
    cache: new ResolutionCache(cacheLimits, Date.now),
    clock: systemClock,
    platform: AMD64,
    limits: () => ({ hedgeDelayMs: 0, probeBudgetMs: 30_000, totalMs: 60_000 }),
    fingerprint: credentialsFingerprint,
  })
  const logger = silentLogger()
  const app = buildApp({
    answers: new ScriptedAnswers(anAnswer()),
    readiness: { check: async () => [] },
    logger,
    mirror: (scope) => mirrorRoutes(scope, { resolver, source, health, logger, limits }),
  })
  t.after(() => app.close())
  const url = await listenHttp(app, '127.0.0.1:0')
  const ask: TestMirror['ask'] = (method, path, headers = {}) =>
    exchange(url, method, path, headers)
  return {
    url,
    host: new URL(url).host,
    health,
    ask,
    get: (path, headers) => ask('GET', path, headers),
  }
}

/** fetch() hides answers that end too early. */
function exchange(
  url: string,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<MirrorReply> {
  return new Promise((resolve, reject) => {
    const request = send(new URL(path, url), { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', () => {})
      response.once('close', () => {
        const { statusCode = 0, complete } = response
        const body = Buffer.concat(chunks)
        resolve({ status: statusCode, headers: response.headers, body, complete })
      })
    })
    request.on('error', reject)
    request.end()
  })
}
