import { mkdir } from 'node:fs/promises'
import { request } from 'node:http'
import { join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Page } from 'playwright-core'
import { loadService } from '../src/runtime/protos.ts'
import { closeBrowser, visit } from './support/browser.ts'
import { type Daemon, startDaemon } from './support/daemon.ts'
import { FakeRegistry } from './support/fake-registry.ts'
import { respond } from './support/fake-runtime.ts'
import { startServer } from './support/http-server.ts'
import { CRI_DOCKERD, startImageRuntime } from './support/image-runtime.ts'
import { buildImage, buildIndex, digestOf } from './support/images.ts'
import { temporaryFolder } from './support/stack.ts'

// `npm run build && node --import tsx test/screenshots.ts` takes the pictures of docs/page.md anew, of
// the real service before registries in memory.

const FOLDER = resolve(import.meta.dirname, '../docs/images')
/** A picture shows the page from its top to an element's end. */
const VIEWS = [
  { name: 'page-answer', width: 1000, colorScheme: 'light', ref: 'nginx:1.27', until: '#answer' },
  { name: 'page-live', width: 1000, colorScheme: 'dark', ref: '', until: 'main' },
  { name: 'page-narrow', width: 400, colorScheme: 'light', ref: 'nginx:1.72', until: '#answer' },
] as const

const ends: (() => unknown)[] = []
const cleanup = { after: (end: () => unknown) => void ends.push(end) }
try {
  const daemon = await startScene()
  await mkdir(FOLDER, { recursive: true })
  for (const { name, width, colorScheme, ref, until } of VIEWS) {
    const viewport = { width, height: 900 }
    const { page } = await visit(cleanup, daemon.httpUrl(), { viewport, colorScheme })
    await page.locator('#images li').first().waitFor()
    await pass(page, daemon)
    if (ref !== '') {
      await page.getByLabel('Reference').fill(ref)
      await page.getByLabel('Ask every registry').check()
      await page.getByRole('button', { name: 'Resolve' }).click()
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

/** Four minutes, in which the service is asked for this and that. */
async function pass(page: Page, daemon: Daemon): Promise<void> {
  for (let i = 0; i < 48; i += 1) {
    const asked = ['nginx:1.27', 'redis:8', `busybox:${i % 3}`].slice(0, 1 + ((i >> 2) % 3))
    for (const ref of asked) await fetch(`${daemon.httpUrl()}/resolve?ref=${ref}`)
    const polled = page.waitForResponse('**/registries')
    await page.clock.runFor(5_000)
    await polled
  }
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
  const proxy = await startServer(cleanup, async (incoming, outgoing) => {
    const { host, pathname } = new URL(incoming.url ?? '', 'http://none')
    const backend = backends.get(host)
    if (backend === undefined) return void outgoing.destroy()
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
  return startDaemon(cleanup, {
    cri,
    config: {
      address: 'http://registry.offline:5000',
      registries: [
        { address: 'http://harbor.corp/hub', priority: 800 },
        { address: 'http://mirror.old.corp', priority: 500 },
        { address: 'http://cache.lab', priority: 400 },
      ],
      mirrorsOnly: ['docker.io'],
      proxy: { http: proxy.url },
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
