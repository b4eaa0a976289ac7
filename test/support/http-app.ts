import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { FastifyInstance } from 'fastify'
import type { CheckResponse } from '../../api/v1/check.ts'
import type { PullLayers, PullsResponse } from '../../api/v1/images.ts'
import { abortable } from '../../src/concurrency/abortable.ts'
import { type AppOptions, buildApp } from '../../src/http/app.ts'
import type { RegistryLists } from '../../src/http/registry-admin.ts'
import type { ServiceReports } from '../../src/http/service-info.ts'
import type { Answers, ImagesOfNode } from '../../src/http/types.ts'
import type { AnswerOptions } from '../../src/resolver/answers.ts'
import type { Answer, CandidateReport } from '../../src/resolver/types.ts'
import { silentLogger } from '../../src/telemetry/log.ts'
import { OpenApi } from './openapi.ts'

export const INDEX_DIGEST = `sha256:${'a'.repeat(64)}`
export const MANIFEST_DIGEST = `sha256:${'b'.repeat(64)}`
export const IMAGE_ID = `sha256:${'c'.repeat(64)}`
/** What the clock of the server under test says. */
export const NOW = Date.UTC(2026, 0, 31, 12, 0, 0)

/** A tag's answer, fresh from a registry, good for one minute. */
export function anAnswer(changes: Partial<Answer> = {}): Answer {
  return {
    requested: 'nginx:latest',
    reference: 'docker.io/library/nginx:latest',
    imageId: IMAGE_ID,
    digest: INDEX_DIGEST,
    manifestDigest: MANIFEST_DIGEST,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
    references: [
      {
        reference: `harbor.corp/library/nginx@${INDEX_DIGEST}`,
        kind: 'digest',
        registry: 'harbor.corp',
        priority: 1000,
        verified: true,
      },
      {
        reference: 'docker.io/library/nginx:latest',
        kind: 'tag',
        registry: 'docker.io',
        priority: 0,
        verified: false,
      },
    ],
    registry: 'harbor.corp',
    source: 'registry',
    resolvedAt: NOW,
    expiresAt: NOW + 60_000,
    attempts: [{ registry: 'harbor.corp', step: 'manifest', outcome: 'ok', status: 200, ms: 3.5 }],
    candidates: [aReport()],
    ...changes,
  }
}

/** What became of the one candidate that was asked. */
function aReport(): CandidateReport {
  return {
    registry: 'harbor.corp',
    reference: 'harbor.corp/library/nginx:latest',
    priority: 1000,
    origin: false,
    chosen: true,
    outcome: 'ok',
    why: 'chosen: the first in order',
    digest: INDEX_DIGEST,
    startedMs: 0,
    ms: 3.5,
    exchanges: [
      {
        method: 'GET',
        url: 'https://harbor.corp/v2/library/nginx/manifests/latest',
        status: 200,
        ms: 3,
        remaining: 99,
      },
    ],
  }
}

/** Says always the same, or throws it, and remembers what was asked. */
export class ScriptedAnswers implements Answers {
  readonly asked: { readonly input: string; readonly options: AnswerOptions }[] = []
  readonly #result: Answer | Error

  constructor(result: Answer | Error) {
    this.#result = result
  }

  async answer(input: string, options: AnswerOptions): Promise<Answer> {
    this.asked.push({ input, options })
    if (this.#result instanceof Error) throw this.#result
    return this.#result
  }
}

/** A question that is never answered: it ends as its signal does. */
export function endlessAnswers(onAsked: (signal: AbortSignal) => void = () => {}): Answers {
  return {
    answer: (_input, { signal }) => {
      const ended = abortable(new Promise<never>(() => {}), signal)
      onAsked(signal)
      return ended
    },
  }
}

export const AN_IMAGE = {
  imageId: IMAGE_ID,
  references: [`docker.io/library/nginx@${INDEX_DIGEST}`, 'docker.io/library/nginx:latest'],
  sizeBytes: 12_345,
  pinned: false,
}

interface FakeNode extends ImagesOfNode {
  /** Rejects where there is no runtime. */
  check(): Promise<void>
  pulls(): Promise<PullsResponse>
  layersOf(reference: string): Promise<PullLayers | undefined>
}

/** A node with one image, that says yes to everything. */
export function someImages(changes: Partial<FakeNode> = {}): Pick<AppOptions, 'node' | 'pulls'> {
  const fake: FakeNode = {
    check: async () => {},
    list: async () => [AN_IMAGE],
    status: async (image) => (image === 'nope' ? undefined : AN_IMAGE),
    remove: async () => {},
    pull: async () => IMAGE_ID,
    pulls: async () => ({ running: 0, pulls: [] }),
    layersOf: async () => undefined,
    ...changes,
  }
  return {
    node: async () => {
      await fake.check()
      return fake
    },
    pulls: { list: fake.pulls, layersOf: fake.layersOf },
  }
}

/** One registry, whose name has a slash in it. */
export function someRegistries(changes: Partial<RegistryLists> = {}): RegistryLists {
  return {
    statuses: () => [
      {
        name: 'harbor.corp/hub',
        address: 'https://harbor.corp/hub',
        path: 'hub',
        priority: 500,
        offline: false,
        upstreams: ['docker.io'],
        trusted: true,
        capabilities: ['resolve', 'pull'],
        credentials: true,
        healthy: true,
        use: 'in use',
        state: 'closed',
        latencyMs: 12.3,
        retryAt: null,
        lastSuccessAt: '2026-01-31T12:00:00.000Z',
        lastFailureAt: null,
        rateLimit: { remaining: 76, limit: 100, windowSeconds: 21_600 },
      },
    ],
    repositories: async (registry) => ({
      registry,
      repositories: ['library/nginx', 'team/app'],
      next: 'team/app',
    }),
    tags: async (registry, repository) => ({
      registry,
      repository,
      tags: ['1.27', 'latest'],
      next: null,
    }),
    ...changes,
  }
}

/** Of one image in use, which its origin alone has. */
export const SOME_CHECK: CheckResponse = {
  enabled: true,
  checkedAt: '2026-01-31T12:00:00.000Z',
  images: [
    {
      reference: 'docker.io/library/nginx:latest',
      state: 'origin-only',
      movedTo: INDEX_DIGEST,
      places: [
        {
          registry: 'harbor.corp',
          reference: 'harbor.corp/library/nginx:latest',
          origin: false,
          configured: true,
          state: 'absent',
        },
        {
          registry: 'docker.io',
          reference: 'docker.io/library/nginx:latest',
          origin: true,
          configured: false,
          state: 'present',
          digest: INDEX_DIGEST,
        },
      ],
    },
  ],
}

export function someService(): ServiceReports {
  return {
    config: async () => 'shim: /run/image-resolver.sock\n',
    stats: () => ({
      uptimeSeconds: 12.5,
      resolutions: { cache: 1, shared: 0, registry: 1, stale: 0, failed: 0 },
      cache: {
        hitRate: 0.5,
        hits: 1,
        misses: 1,
        coalesced: 0,
        stale: 0,
        negative: 0,
        revalidated: 0,
        evicted: 0,
        entries: 1,
      },
      latencies: [{ source: 'cache', count: 1, p50Ms: 0.01, p99Ms: null }],
      pulls: { inFlight: 0, pulled: 0, failed: 0, passedOn: 0 },
      configuration: {
        generation: 1,
        loadedAt: '2026-01-31T12:00:00.000Z',
        lastReloadFailed: false,
      },
    }),
    cached: (n) => ({
      total: 2,
      answers: [
        {
          reference: 'docker.io/library/nginx:latest',
          platform: { os: 'linux', architecture: 'arm64', variant: 'v8' },
          digest: INDEX_DIGEST,
          registry: 'harbor.corp',
          resolvedAt: '2026-01-31T12:00:00.000Z',
          expiresAt: null,
        },
      ].slice(0, n),
    }),
    history: () => ({
      at: '2026-01-31T12:00:00.000Z',
      everySeconds: 60,
      resolutions: [0, 2],
      hitRate: [null, 0.5],
      p50Ms: [null, 12.3],
      p99Ms: [null, 45.6],
      registries: [{ name: 'harbor.corp/hub', latencyMs: [null, 12.3] }],
    }),
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'up 1\n' }),
  }
}

/** What opens the door to those who write. */
export const TOKEN = 'open-sesame'
export const WITH_TOKEN = { authorization: `Bearer ${TOKEN}` }

/** A door for the length of one test; it has a token, which on loopback is for writing. */
export async function openApp(
  t: TestContext,
  options: Partial<AppOptions> = {},
): Promise<FastifyInstance> {
  const app = buildApp({
    answers: new ScriptedAnswers(anAnswer()),
    readiness: { check: async () => [] },
    ...someImages(),
    registries: someRegistries(),
    service: someService(),
    check: () => SOME_CHECK,
    admission: { budgetMs: 60_000, rejects: false },
    access: { token: TOKEN },
    logger: silentLogger(),
    now: () => NOW,
    ...options,
  })
  t.after(() => {
    // What the test left open would be given its grace.
    app.server.closeAllConnections()
    return app.close()
  })
  await app.ready()
  return app
}

/** What the document has against a body: see OpenApi. */
export async function documentErrors(component: string, body: unknown): Promise<readonly string[]> {
  const openapi = await OpenApi.load()
  return openapi.fits(`#/components/schemas/${component}`, JSON.stringify(body))
}

/** The rows of the tables of a Markdown page, cells trimmed, without the lines that rule them. */
export async function tableRows(path: string): Promise<string[][]> {
  const text = await readFile(path, 'utf8')
  return text
    .split('\n')
    .filter((line) => line.startsWith('|') && !/^\|[\s:|-]+\|$/.test(line))
    .map((line) => line.split('|').slice(1, -1))
    .map((cells) => cells.map((cell) => cell.trim()))
}
