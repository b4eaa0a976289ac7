import { mkdir } from 'node:fs/promises'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { RegistriesResponse } from '../api/v1/registries.ts'
import type { StatsHistoryResponse } from '../api/v1/stats.ts'
import { loadService } from '../src/runtime/protos.ts'
import { Metrics } from '../src/telemetry/counters.ts'
import { StatsHistory } from '../src/telemetry/history.ts'
import { closeBrowser, visit } from './support/browser.ts'
import { BY_DEFAULT, type Daemon, startDaemon } from './support/daemon.ts'
import { FakeRegistry } from './support/fake-registry.ts'
import { respond } from './support/fake-runtime.ts'
import { startServer } from './support/http-server.ts'
import { CRI_DOCKERD, startImageRuntime } from './support/image-runtime.ts'
import { buildImage, buildIndex, digestOf } from './support/images.ts'
import { startRedis } from './support/redis.ts'
import { temporaryFolder } from './support/stack.ts'

// `npm run build && node --import tsx test/screenshots.ts` takes the pictures of docs/page.md anew, of
// the real service before registries in memory. The history of a day is that of a service whose clock the script turns.
// Another folder as its argument gets every view at both widths in both themes.

const [elsewhere] = process.argv.slice(2)
const FOLDER = resolve(elsewhere ?? join(import.meta.dirname, '../docs/images'))
const TOKEN = 'open-sesame'
const DAY_MINUTES = 1_440
/** A picture shows the page from its top to an element's end. */
const VIEWS: readonly View[] = [
  { name: 'page-answer', width: 1280, colorScheme: 'light', ref: 'nginx:1.27', until: '#answer' },
  { name: 'page-live', width: 1280, colorScheme: 'dark', ref: '', until: 'main' },
  { name: 'page-narrow', width: 400, colorScheme: 'light', ref: 'nginx:1.72', until: '#answer' },
]
const ALL = VIEWS.flatMap((view) =>
  ([1280, 400] as const).flatMap((width) =>
    (['light', 'dark'] as const).map((colorScheme) => ({
      ...view,
      name: `${view.name}-${width}-${colorScheme}`,
      width,
      colorScheme,
    })),
  ),
)

interface View {
  readonly name: string
  readonly width: number
  readonly colorScheme: 'light' | 'dark'
  readonly ref: string
  /** The last element that is in the picture. */
  readonly until: string
}

const ends: (() => unknown)[] = []
const cleanup = { after: (end: () => unknown) => void ends.push(end) }
try {
  const daemon = await startScene()
  const history = await dayOf(daemon)
  await mkdir(FOLDER, { recursive: true })
  for (const { name, width, colorScheme, ref, until } of elsewhere === undefined ? VIEWS : ALL) {
    const viewport = { width, height: 900 }
    const { page } = await visit(cleanup, `${daemon.httpUrl()}/livez`, { viewport, colorScheme })
    await page.evaluate(`sessionStorage.setItem('token', '${TOKEN}')`)
    await page.route('**/stats/history', (route) => route.fulfill({ json: history }))
    await page.goto(daemon.httpUrl())
    await page.locator('#images li').first().waitFor()
    await page.locator('#browse-registry').selectOption('harbor.corp/hub')
    await page.getByRole('button', { name: 'List' }).click()
    await page.locator('#browse-names').getByRole('button', { name: 'library/nginx' }).click()
    await page.locator('#browse-names a').first().waitFor()
    if (ref !== '') {
      await page.getByLabel('Reference').fill(ref)
      await page.getByLabel('Ask every registry').check()
      await page.keyboard.press('Enter')
      await page.locator('#answer article').waitFor()
    }
    const { y = 0, height = 0 } = (await page.locator(until).boundingBox()) ?? {}
    const clip = { x: 0, y: 0, width, height: Math.round(y + height + 16) }
    await page.screenshot({ path: join(FOLDER, `${name}.png`), fullPage: true, clip })
  }
} finally {
  await closeBrowser()
  for (const end of ends.reverse()) await end()
}

/** Asks the service for this and that, and gives the history that a day of such questions makes. */
async function dayOf(daemon: Daemon): Promise<StatsHistoryResponse> {
  for (let i = 0; i < 40; i += 1) {
    const asked = ['nginx:1.27', 'redis:8', `busybox:${i % 3}`].slice(0, 1 + ((i >> 2) % 3))
    for (const ref of asked) await fetch(`${daemon.httpUrl()}/resolve?ref=${ref}`)
  }
  const response = await fetch(`${daemon.httpUrl()}/registries`)
  const { registries } = (await response.json()) as RegistriesResponse
  const { resolutions } = new Metrics()
  let ring = (): void => {}
  let now = Date.now() - DAY_MINUTES * 60_000
  let minute = 0
  const wave = (length: number) => 1 + 0.4 * Math.sin((2 * Math.PI * minute) / length)
  const history = new StatsHistory({
    resolutions,
    registries: () =>
      registries.map(({ latencyMs, name }, index) => ({
        name,
        latencyMs: latencyMs === null ? undefined : latencyMs * wave(11 + 6 * index),
      })),
    clock: {
      now: () => now,
      after(_ms, callback) {
        ring = callback
        return () => {}
      },
    },
  })
  history.start()
  for (; minute < DAY_MINUTES; minute += 1) {
    const isBusy = wave(DAY_MINUTES) > 0.8
    for (let i = 0; i < 20; i += 1) {
      if (Math.random() < (isBusy ? 0.9 : 0.7)) resolutions.cache.record(0.02)
      else resolutions.registry.record(18 * wave(300) * (0.5 + Math.random()) ** 3)
    }
    now += 60_000
    ring()
  }
  return history.report()
}

/** Four registries by the names that they would have, of which the first is down. */
async function startScene(): Promise<Daemon> {
  const nginx = [buildImage({ seed: 'amd64' }), buildImage({ seed: 'new' })] as const
  const backends = new Map<string, { readonly registry: FakeRegistry; readonly ms: number }>()
  for (const [host, ms] of [
    ['harbor.corp', 21],
    ['mirror.old.corp', 46],
    ['cache.lab', 9],
  ] as const) {
    const registry = await FakeRegistry.start(cleanup)
    const prefix = host === 'harbor.corp' ? 'hub/' : ''
    const image = buildIndex([nginx[host === 'mirror.old.corp' ? 1 : 0]])
    if (host !== 'cache.lab') registry.put(`${prefix}library/nginx`, '1.27', image)
    registry.put(`${prefix}library/redis`, '8', nginx[0])
    backends.set(host, { registry, ms })
  }
  const repositories = ['hub/library/nginx', 'hub/library/redis', 'hub/team/shop']
  const tags = ['1.25', '1.26', '1.27'].flatMap((tag) => [tag, `${tag}-alpine`, `${tag}-slim`])
  const proxy = await startServer(cleanup, async (incoming, outgoing) => {
    const { host, pathname } = new URL(incoming.url ?? '', 'http://none')
    const backend = backends.get(host)
    if (backend === undefined) return void outgoing.destroy()
    if (pathname === '/v2/_catalog') return void outgoing.end(JSON.stringify({ repositories }))
    if (pathname.endsWith('/tags/list')) return void outgoing.end(JSON.stringify({ tags }))
    await delay(backend.ms * (0.8 + 0.5 * Math.random()))
    const { method, headers } = incoming
    const target = new URL(pathname, backend.registry.url)
    request(target, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(outgoing)
    }).end()
  })
  const cri = join(temporaryFolder(cleanup), 'cri.sock')
  // What starts a runtime asks of its context nothing but to end it.
  const runtime = await startImageRuntime(cleanup as TestContext, cri, CRI_DOCKERD)
  const service = loadService('runtime/v1/image.proto', 'runtime.v1.ImageService')
  const images = service['ListImages']?.responseSerialize({ images: nodeImages() })
  runtime.fake.handle('/runtime.v1.ImageService/ListImages', ({ stream }) =>
    respond(stream, [images ?? Buffer.alloc(0)]),
  )
  const redis = await startRedis(cleanup)
  return startDaemon(cleanup, {
    cri,
    config: {
      http: { listen: '127.0.0.1:0', token: TOKEN },
      cache: { shared: { url: redis.url, budget: '1s' } },
      address: 'http://registry.offline:5000',
      registries: [
        { address: 'http://harbor.corp/hub', priority: 800 },
        { address: 'http://mirror.old.corp', priority: 500 },
        { address: 'http://cache.lab', priority: 400 },
      ],
      mirrorsOnly: ['docker.io'],
      proxy: { http: proxy.url },
      ...BY_DEFAULT,
    },
  })
}

function nodeImages(): object[] {
  const named = { 'library/nginx:1.27': 72, 'coredns/coredns:v1.11.1': 18, 'team/shop:2026.1': 214 }
  return Object.entries(named).map(([name, megabytes]) => ({
    id: digestOf(name),
    repoTags: [`docker.io/${name}`],
    repoDigests: [`docker.io/${name.split(':')[0]}@${digestOf(`of ${name}`)}`],
    size: String(megabytes * 1_003_000),
  }))
}
