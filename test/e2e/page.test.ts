import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import axe from 'axe-core'
import type { BrowserContextOptions, Page } from 'playwright-core'
import type { CheckResponse } from '../../api/v1/check.ts'
import { VERSION } from '../../api/version.ts'
import { BROWSER_PROGRAMS, closeBrowser, seen, stopClock, visit } from '../support/browser.ts'
import { type Daemon, startDaemon } from '../support/daemon.ts'
import { FakeRegistry, refuseWith, serve } from '../support/fake-registry.ts'
import { CRI_DOCKERD, startImageRuntime } from '../support/image-runtime.ts'
import { buildImage, type Content } from '../support/images.ts'
import { startTestNode, type TestNode } from '../support/node.ts'
import { reservePort } from '../support/port.ts'
import { type Redis, startRedis } from '../support/redis.ts'
import { type Cleanup, RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

const IMAGE = buildImage({ seed: 'one' })
const OTHER_IMAGE = buildImage({ seed: 'another' })
/** The page looks so often for what changes by itself. */
const POLL_MS = 5_000

const ends: (() => unknown)[] = []
after(async () => {
  await closeBrowser()
  for (const end of ends.reverse()) await end()
})

describe('the page', { concurrency: true }, () => {
  // Each kind beside the others: most of the time they wait for the browser.

  describe('its parts', { concurrency: 2 }, () => {
    test('shows which image a typed reference is, and keeps the question in the address', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, second } = await sharedScene()
      const { page } = await visit(t, daemon.httpUrl())

      await page.getByLabel('Reference').fill('nginx:1.27')
      await page.getByLabel('Platform').fill('linux/amd64')
      await page.keyboard.press('Enter')
      await page.getByText('Pull it from').waitFor()

      const shown = await seen(page.locator('#answer'))
      assert.match(shown, /docker\.io\/library\/nginx:1\.27/)
      assert.ok(shown.includes(shortened(IMAGE.imageId)))
      assert.ok(shown.includes(`${second.host}/library/nginx@${shortened(IMAGE.digest)}`))
      assert.match(shown, /linux\/amd64/)
      assert.equal(new URL(page.url()).search, '?ref=nginx%3A1.27&platform=linux%2Famd64')
    })

    test('answers the question of an address that was shared, and of the one before it', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:1.27`)
      await page.getByText('Pull it from').waitFor()
      await page.getByLabel('Reference').fill('nginx:none')
      await page.keyboard.press('Enter')
      await page.getByText('MANIFEST_UNKNOWN', { exact: true }).waitFor()

      await page.goBack()
      await page.getByText('Pull it from').waitFor()

      assert.equal(await page.getByLabel('Reference').inputValue(), 'nginx:1.27')
    })

    test('tells of every candidate in order, with its time, though the first one failed', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, first, second } = await startScene(t)
      first.behaviour = refuseWith(500)
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:1.27`)

      const candidates = page.locator('.candidate')
      await candidates.first().waitFor()

      assert.deepEqual((await page.locator('.candidate b').allInnerTexts()).slice(0, 2), [
        first.host,
        second.host,
      ])
      assert.match(await seen(candidates.nth(0)), /server error/)
      assert.match(await seen(candidates.nth(1)), /chosen/)
      const bars = page.locator('.track i')
      const [failed, chosen] = [await bars.nth(0).boundingBox(), await bars.nth(1).boundingBox()]
      assert.ok(failed !== null && chosen !== null && chosen.x >= failed.x && chosen.width > 0)
      await candidates.nth(1).locator('summary').click()
      assert.match(await seen(candidates.nth(1)), /GET http:.*\/v2\/library\/nginx\/manifests/)
    })

    test('marks the registry whose tag is another image, and says so in a banner', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, first, second } = await divergentScene()
      const { page } = await visit(t, daemon.httpUrl())

      await page.getByLabel('Reference').fill('nginx:1.27')
      await page.getByLabel('Ask every registry').check()
      await page.keyboard.press('Enter')

      const other = page.locator('.candidate.divergent')
      await other.waitFor()
      assert.equal(await seen(other.locator('b')), second.host)
      assert.match(await seen(other), /another image/)
      assert.ok((await seen(other)).includes(shortened(OTHER_IMAGE.digest)))
      const text = `${second.host} has another image by this tag than ${first.host}.`
      const banner = await seen(page.getByRole('note'))
      assert.ok(banner.startsWith(text), banner)
    })

    test('says of an image that is nowhere its code, who was asked, and what to do', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, first, second } = await sharedScene()
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:none`)

      await page.getByText('MANIFEST_UNKNOWN', { exact: true }).waitFor()

      const shown = await seen(page.locator('#answer'))
      assert.match(shown, /No registry has it/)
      assert.match(shown, /What to do: Look for a misspelling/)
      for (const { host } of [first, second]) assert.ok(shown.includes(host))
      assert.match(shown, /not there/)
    })

    test('shows within seconds that a registry is not in use any more', {
      timeout: 120_000,
    }, async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, first } = await startScene(t)
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:1.27`)
      const registry = page.locator('.registry', { hasText: first.host })
      await page.locator('.registry.good', { hasText: first.host }).waitFor()
      await page.getByText('Pull it from').waitFor()

      await first.server.stop()
      for (let i = 0; i < 5; i += 1) await fetch(`${daemon.httpUrl()}/resolve?ref=nginx:no${i}`)
      // A look that is under way sets the next one when it ends.
      const bad = page.locator('.registry.bad', { hasText: first.host })
      await lookUntil(page, async () => (await bad.count()) > 0)

      // Its first pause may be over by then.
      assert.match(
        await seen(registry),
        /(left alone until|on probation).*Last error at .* UNAVAILABLE/s,
      )
      assert.equal(await seen(page.locator('#registries-said')), `1 of 2 in use, not ${first.host}`)
    })

    test('draws what the service remembers of the last hours, also when it has just been opened', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      await fetch(`${daemon.httpUrl()}/resolve?ref=nginx:1.27`)
      const { page } = await visit(t, daemon.httpUrl())

      const plot = page.getByRole('img', {
        name: /^Answered without a registry over the last hour: +\d.*between/,
      })
      await plot.waitFor()

      assert.match((await plot.locator('path').first().getAttribute('d')) ?? '', /^M.*[hL]/)
      await plot.focus()
      for (let i = 0; i < 70; i += 1) await page.keyboard.press('ArrowLeft')
      await page.keyboard.press('ArrowRight')
      const readout = page.locator('.readout').first()
      assert.match(await seen(readout), /^\d\d:\d\d\s+(\d[\d.]* %|–)$/)
      assert.equal(await plot.locator('.hair').count(), 1)
      await page.keyboard.press('Tab')
      assert.equal(await plot.locator('.hair').count(), 0)
      assert.match(await seen(page.locator('#tiers')), /registries\s+\d/)
    })

    test('lists long repositories page by page, and says in words what a registry refuses', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon, first } = await startScene(t)
      const tags = Array.from({ length: 150 }, (_, n) => `v${String(n).padStart(3, '0')}`)
      first.behaviour = (exchange) => {
        const url = new URL(exchange.request.url ?? '', first.url)
        if (!url.pathname.endsWith('/tags/list')) return refuseWith(403)(exchange)
        const rest = tags.filter((tag) => tag > (url.searchParams.get('last') ?? ''))
        const page = rest.slice(0, Number(url.searchParams.get('n')))
        if (page.length < rest.length) {
          const next = `${url.pathname}?n=${page.length}&last=${page.at(-1)}`
          exchange.response.setHeader('link', `<${next}>; rel="next"`)
        }
        exchange.response.end(JSON.stringify({ name: 'team/app', tags: page }))
      }
      const { page } = await visit(t, daemon.httpUrl())
      await page.locator('#browse-registry option').nth(1).waitFor({ state: 'attached' })
      const list = page.getByRole('button', { name: 'List' })

      await list.click()
      await page.locator('#browse-said.bad').waitFor()
      assert.match(await seen(page.locator('#browse-said')), /^It is refused: /)
      await page.getByLabel('Repository').fill('team/app')
      await list.click()
      await page.getByText('100 tags, and there are more.').waitFor()
      await page.getByRole('button', { name: 'Show more' }).click()
      await page.getByText('150 tags.').waitFor()

      assert.equal(await page.locator('#browse-names a').count(), 150)
      assert.equal(await page.getByRole('button', { name: 'Show more' }).isVisible(), false)
    })

    test('says without the token what the images are told for', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, daemon.httpUrl())

      await page.locator('#images-said', { hasText: 'http.token of the configuration' }).waitFor()

      assert.match(await seen(page.locator('#service')), /^ready, up /)
    })

    for (const file of ['page.js', 'theme.js']) {
      test(`says that it does not work where ${file} does not load`, async (t) => {
        if (!requireStack(t, BROWSER_PROGRAMS)) return
        const { daemon } = await sharedScene()
        const { page } = await visit(t, `${daemon.httpUrl()}/livez`)
        await page.route(`**/page/${file}`, (route) => route.abort())
        await page.route('**/page/page.js', (route) =>
          file === 'theme.js' ? route.abort() : route.fallback(),
        )

        // Where not even theme.js loads it is an animation of some seconds that shows it.
        const session = await page.context().newCDPSession(page)
        await session.send('Animation.enable')
        await session.send('Animation.setPlaybackRate', { playbackRate: 20 })

        await page.goto(daemon.httpUrl())

        await page.getByText('This page does not work').waitFor({ state: 'visible' })
      })
    }

    test('shows which images in use would not start on another node', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const registry = await FakeRegistry.start(t)
      registry.put('team/shop', '1', IMAGE)
      registry.put('team/till', '2', OTHER_IMAGE)
      const cri = join(temporaryFolder(t), 'cri.sock')
      const runtime = await startImageRuntime(t, cri, CRI_DOCKERD)
      for (const image of ['shop:1', 'till:2']) await runtime.pull(`${registry.host}/team/${image}`)
      registry.behaviour = (exchange) => {
        if (exchange.request.url?.includes('till')) refuseWith(404)(exchange)
        else serve(exchange)
      }
      const http = { listen: '127.0.0.1:0', token: 'open-sesame' }
      const check = { interval: '1m' }
      const daemon = await startDaemon(t, { cri, config: { address: registry.url, check, http } })
      const { page } = await visit(t, daemon.httpUrl())
      await page.getByRole('button', { name: 'Enter the token' }).click()
      await page.getByLabel('Token').fill('open-sesame')
      await page.getByRole('button', { name: 'Use it' }).click()

      // The service begins within seconds, and the page looks every half a minute of its clock.
      const rows = page.locator('#check-images li')
      await lookUntil(page, async () => (await rows.count()) > 0)

      assert.equal(
        await seen(page.locator('#check-title')),
        'These would not start on another node',
      )
      assert.match(
        await seen(page.locator('#check-said')),
        /: 1 of 2 images can be pulled again\.$/,
      )
      assert.match(await seen(rows), /team\/till:2\s+on this node alone, at no registry/)
      assert.deepEqual(await axeFindings(page), [])
    })

    test('stays readable with forty registries, a reference of 4,000 letters and 1,000 images', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const long = `registry.${'very-long-name-of-a-department.'.repeat(7)}corp`
      const images = Array.from({ length: 1_000 }, (_, n) => ({
        imageId: IMAGE.imageId,
        references: [`${long}/team/${'part/'.repeat(20)}app-${n}@${IMAGE.digest}`],
        sizeBytes: n,
        pinned: false,
      }))
      for (const width of [1280, 400]) {
        const viewport = { width, height: 900 }
        const { page } = await visit(t, `${daemon.httpUrl()}/livez`, { viewport })
        await page.evaluate("sessionStorage.setItem('token', 'any')")
        await page.route('**/readyz', (route) =>
          route.fulfill({ json: { status: 'ready', doors: [{ door: 'cri', open: true }] } }),
        )
        await page.route('**/images', (route) => route.fulfill({ json: { images } }))
        await page.route('**/check', (route) =>
          route.fulfill({ json: { enabled: false, checkedAt: null, images: [] } }),
        )
        await page.route('**/pulls', (route) =>
          route.fulfill({ json: { running: 1_000, pulls: pullsOf(images, long) } }),
        )
        await page.route('**/registries', async (route) => {
          const answer = (await (await route.fetch()).json()) as { registries: object[] }
          const [first] = answer.registries
          const names = Array.from({ length: 40 }, (_, n) => `${n}.${long}`)
          await route.fulfill({
            json: {
              registries: names.map((name) => ({ ...first, name, address: `https://${name}` })),
            },
          })
        })
        await page.goto(`${daemon.httpUrl()}/?ref=${'x'.repeat(4_000)}`)
        await page.locator('#answer article').waitFor()
        await page.locator('.registry').nth(39).waitFor()
        await page.locator('#images li').nth(99).waitFor()

        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
        const { height = 0 } = (await page.locator('.asked').boundingBox()) ?? {}
        assert.ok(height < 600, `${height}`)
        const identifier = page.locator('#images .identifier').first()
        const [code, button] = [identifier.locator('code'), identifier.locator('button')]
        const [one, other] = [await code.boundingBox(), await button.boundingBox()]
        assert.ok(one !== null && other !== null && Math.abs(one.y - other.y) < one.height)
        await page.locator('.pull').nth(99).waitFor()
        const lines = (await page.evaluate(
          "[...document.querySelectorAll('.digest')].map((each) => each.getClientRects().length)",
        )) as number[]
        assert.ok(lines.length > 200)
        assert.deepEqual([...new Set(lines)], [1])
      }
    })

    test('needs no scrolling to the side on a screen of 400 pixels', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const viewport = { width: 400, height: 800 }

      for (const query of ['', '?ref=nginx:1.27&all=true', '?ref=nginx:none']) {
        const { page } = await visit(t, `${daemon.httpUrl()}/${query}`, { viewport })
        await page.locator('.registry').nth(1).waitFor()
        if (query !== '') await page.locator('#answer article').waitFor()

        const width = await page.evaluate('document.documentElement.scrollWidth')
        assert.equal(width, 400, query)
      }
    })

    test('can be read in both themes', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await divergentScene()

      for (const query of ['?ref=nginx:1.27&all=true', '?ref=nginx:none']) {
        const { page } = await visit(t, `${daemon.httpUrl()}/${query}`)
        await page.locator('.registry').nth(1).waitFor()
        await page.locator('#answer article').waitFor()

        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme })
          assert.deepEqual(await axeFindings(page), [], `${colorScheme} ${query}`)
          const ratios = (await page.evaluate(CONTRASTS)) as { ratio: number; text: string }[]
          assert.ok(ratios.length > 25, `only ${ratios.length} texts were seen`)
          assert.deepEqual(
            ratios.filter(({ ratio }) => ratio < 4.5),
            [],
            `${colorScheme} ${query}`,
          )
        }
      }
    })

    test('takes the theme of the system, or the one that was chosen, which it remembers', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, daemon.httpUrl(), { colorScheme: 'dark' })
      const ground = () => page.evaluate('getComputedStyle(document.body).backgroundColor')
      const dark = await ground()

      await page.getByRole('button', { name: 'Light theme' }).click()
      const light = await ground()
      await page.reload()

      assert.notEqual(light, dark)
      assert.equal(await ground(), light)
      assert.equal(await page.getByRole('button', { name: 'Dark theme' }).count(), 1)
    })

    test('asks nobody but the service, and has nothing to say to the console', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page, hosts, messages } = await visit(
        t,
        `${daemon.httpUrl()}/?ref=nginx:1.27&all=true`,
      )
      await page.getByText('Pull it from').waitFor()
      await page.locator('.registry').nth(1).waitFor()

      const polled = page.waitForResponse('**/stats')
      await page.clock.runFor(POLL_MS)
      await polled

      assert.deepEqual([...hosts], [new URL(daemon.httpUrl()).host])
      assert.deepEqual(messages, [])
    })

    test('needs one script file beside the one that says when it does not run, small altogether', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, `${daemon.httpUrl()}/livez`)
      const scripts: string[] = []
      const sizes: Promise<number>[] = []
      page.on('response', (response) => {
        const { pathname } = new URL(response.url())
        if (response.request().resourceType() === 'script') scripts.push(pathname)
        if (pathname.startsWith('/page/')) sizes.push(response.body().then(({ length }) => length))
      })

      await page.goto(daemon.httpUrl())
      await page.locator('#service', { hasText: 'ready, up ' }).waitFor()

      assert.deepEqual(scripts.sort(), ['/page/page.js', '/page/theme.js'])
      const bytes = (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0)
      assert.ok(bytes < 40 * 1024, `${bytes} bytes`)
    })

    test('shows markup from outside as text', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const hostile = '<img src=x onerror="document.title=1"><script>document.title=1</script>'
      const { page } = await visit(t, daemon.httpUrl())
      const lastError = { code: 'UNKNOWN', message: hostile }
      await page.route('**/registries', async (route) => {
        const answer = (await (await route.fetch()).json()) as { registries: object[] }
        const registries = answer.registries.map((each) => ({ ...each, name: hostile, lastError }))
        await route.fulfill({ json: { registries } })
      })

      await page.goto(`${daemon.httpUrl()}/?ref=${encodeURIComponent(hostile)}`)
      await page.getByText('NAME_INVALID', { exact: true }).waitFor()
      await page.locator('.registry', { hasText: hostile }).first().waitFor()

      assert.equal(await seen(page.locator('.asked')), hostile)
      assert.ok((await seen(page.locator('.message'))).includes('<img'))
      assert.equal(await page.locator('main img, main script').count(), 0)
      assert.notEqual(await page.title(), '1')
    })

    test('asks for the token where the service wants it, and forgets it with the tab', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await startScene(t, { http: { listen: '0.0.0.0:0', token: 'sesame' } })
      const url = daemon.httpUrl().replace('0.0.0.0', '127.0.0.1')
      const { page } = await visit(t, `${url}/?ref=nginx:1.27`)

      await page.getByLabel('Token').fill('wrong')
      await page.keyboard.press('Enter')
      await page.getByText('The service does not know that token.').waitFor()
      await page.getByLabel('Token').fill('sesame')
      await page.keyboard.press('Enter')
      await page.getByText('Pull it from').waitFor()
      await page.locator('.registry').nth(1).waitFor()

      assert.equal(await page.getByLabel('Token').isVisible(), false)
      assert.equal(await page.evaluate('JSON.stringify(localStorage) + document.cookie'), '{}')
      const { page: another } = await visit(t, `${url}/?ref=nginx:1.27`)
      await another.getByLabel('Token').waitFor()
    })

    test('says that the service is gone, and comes back with it', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const http = { listen: `127.0.0.1:${await reservePort(t)}` }
      const { daemon } = await startScene(t, { http })
      const { page } = await visit(t, daemon.httpUrl())
      await page.getByText(/^ready/).waitFor()

      await daemon.stop()
      await page.clock.runFor(POLL_MS)
      await page.getByText('the service does not answer').waitFor()
      daemon.configure({ http })
      await daemon.start()
      await page.clock.runFor(POLL_MS)

      await page.getByText(/^ready/).waitFor()
      assert.match(await seen(page.locator('#registries-said')), /None is configured/)
    })

    test('goes on looking after an answer that breaks off, and after one that is not as it should be', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, daemon.httpUrl())
      await page.getByText(/^ready/).waitFor()
      await stopClock(page)
      // Until it is shown: looks go on while the test looks.
      let body: string | undefined = '{"uptimeSeconds":'
      await page.route('**/stats', (route) =>
        body === undefined ? route.continue() : route.fulfill({ body }),
      )

      await lookUntil(page, () => page.getByText('the service broke off its answer').isVisible())
      body = '{}'
      await lookUntil(page, () => page.locator('#broken').isVisible())
      body = undefined
      await lookUntil(page, async () => /^ready/.test(await seen(page.locator('#service'))))
    })
  })

  // A browser has one clipboard.
  describe('what is copied from it', { concurrency: 1 }, () => {
    test('copies a digest whole, though it is shown shortened', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const permissions = ['clipboard-read', 'clipboard-write']
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:1.27`, { permissions })

      await page.getByText('Pull it from').waitFor()
      await stopClock(page)
      await page.getByRole('button', { name: 'Copy the image ID' }).click()
      await page.getByText('copied', { exact: true }).waitFor()

      assert.equal(await page.evaluate('navigator.clipboard.readText()'), IMAGE.imageId)
    })

    test('copies where the browser has no clipboard for pages', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:1.27`)
      await page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")

      await page.getByText('Pull it from').waitFor()
      await stopClock(page)
      await page.getByRole('button', { name: 'Copy the digest' }).click()
      await page.getByText('copied', { exact: true }).waitFor()
      await page.getByLabel('Platform').focus()
      await page.keyboard.press('Control+V')

      assert.equal(await page.getByLabel('Platform').inputValue(), IMAGE.digest.slice(0, 64))
    })

    test('can be used with the keyboard alone, which shows where it is', async (t) => {
      if (!requireStack(t, BROWSER_PROGRAMS)) return
      const { daemon } = await sharedScene()
      const permissions = ['clipboard-read', 'clipboard-write']
      const { page } = await visit(t, `${daemon.httpUrl()}/?ref=nginx:none`, { permissions })
      await page.getByText('MANIFEST_UNKNOWN', { exact: true }).waitFor()

      await page.keyboard.press('/')
      await page.keyboard.type('nginx:1.27')
      await page.keyboard.press('Enter')
      await page.getByText('Pull it from').waitFor()
      // Platform, the button, the choice; then what can be copied.
      for (let i = 0; i < 4; i += 1) await page.keyboard.press('Tab')
      const focused = page.locator(':focus-visible')
      assert.equal(await focused.getAttribute('aria-label'), 'Copy the image ID')
      assert.equal(
        await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'),
        'solid',
      )
      await stopClock(page)
      await page.keyboard.press('Enter')
      await page.getByText('copied', { exact: true }).waitFor()

      assert.equal(await page.evaluate('navigator.clipboard.readText()'), IMAGE.imageId)
      assert.match(await seen(page.locator('#said')), /Copied/)
    })
  })

  // They share a node, whose pulls and store some of them stop.
  describe('on a node', { concurrency: 1 }, () => {
    test("lists the node's images, and of them those that the filter matches", async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { page } = await visitFull(t)
      const rows = page.locator('#images li')
      await rows.nth(1).waitFor()

      await page.getByLabel('Filter the images').fill('TILL')

      assert.equal(await rows.count(), 1)
      assert.match(await seen(rows), /team\/till:2/)
      assert.ok((await seen(rows)).includes(shortened(OTHER_IMAGE.imageId)))
      await rows.getByRole('link').first().click()
      assert.match(page.url(), /\?ref=.*team%2Ftill%3A2$/)
    })

    test('lists the repositories of a registry, their tags, and resolves one of these with a click', async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { page, node } = await visitFull(t)
      await page.locator('#browse-registry option').nth(1).waitFor({ state: 'attached' })
      assert.equal(await page.locator('#browse-names li').count(), 0)

      await page.getByLabel('Registry', { exact: true }).selectOption(node.second.host)
      await page.getByRole('button', { name: 'List' }).click()
      await page.locator('#browse-names').getByRole('button', { name: 'library/nginx' }).click()
      const tag = page.locator('#browse-names').getByRole('link', { name: '1.27', exact: true })
      await tag.waitFor()
      assert.match(await seen(page.locator('#browse-said')), /^1 tag\./)
      await tag.click()
      await page.getByText('Pull it from').waitFor()

      assert.equal(
        await page.getByLabel('Reference').inputValue(),
        `${node.second.host}/library/nginx:1.27`,
      )
    })

    test('lists what was resolved lately, for the token', async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { node, page } = await visitFull(t)
      await fetch(`${node.daemon.httpUrl()}/resolve?ref=nginx:1.27`)
      const option = page.locator('#browse-registry option', { hasText: 'resolved lately' })
      await option.waitFor({ state: 'attached' })

      await page.getByLabel('Registry', { exact: true }).selectOption('resolved lately')
      await page.getByLabel('Repository').fill('nginx')
      await page.getByRole('button', { name: 'List' }).click()
      const name = 'docker.io/library/nginx:1.27'
      await page.locator('#browse-names').getByRole('link', { name, exact: true }).click()

      await page.getByText('Pull it from').waitFor()
      assert.equal(await page.getByLabel('Reference').inputValue(), name)
    })

    test('has no findings of axe with every part filled, one h1, and its version', async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { node, page } = await visitFull(t)
      // The real one needs pods.
      await page.route('**/check', (route) => route.fulfill({ json: SOME_CHECK }))
      const { pulled, release } = await pullSlowly(node, 'big-pull')
      await page.reload()
      await page.locator('#version', { hasText: VERSION }).waitFor()
      const bar = page.locator('.pull progress[value]')
      await lookUntil(page, async () => (await bar.count()) > 0, 1_000)
      await page.locator('#check-images li').nth(4).waitFor()
      await page.locator('#shared', { hasText: 'Shared store' }).waitFor()
      await page.getByRole('button', { name: 'List' }).click()
      await page.locator('#browse-names').getByRole('button', { name: 'team/till' }).waitFor()
      for (const ref of ['nginx:none', 'nginx:1.27']) {
        await page.getByLabel('Reference').fill(ref)
        await page.getByLabel('Ask every registry').check()
        await page.keyboard.press('Enter')
        await page.locator(ref === 'nginx:none' ? '.failure' : '.timeline').waitFor()
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme })
          for (const width of [1280, 400]) {
            await page.setViewportSize({ width, height: 900 })
            const what = `${colorScheme} ${width} ${ref}`
            assert.deepEqual(await axeFindings(page), [], what)
            assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, what)
            assert.ok(await bar.isVisible(), what)
          }
        }
      }
      assert.equal(await page.locator('h1').count(), 1)
      release()
      await pulled
    })

    test('shows which tier answered, and how the shared store does', async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { node, page } = await visitFull(t)
      await page.locator('#shared', { hasText: 'Shared store: in use' }).waitFor()

      assert.match(
        await seen(page.locator('#tiers')),
        /memory\s+\d.*other nodes\s+0.*registries\s+\d/s,
      )
      await (await fullScene()).redis.kill()
      for (let i = 0; i < 5; i += 1) await fetch(`${node.daemon.httpUrl()}/resolve?ref=team/x:${i}`)
      const left = page.locator('#shared.warn', { hasText: 'left alone' })
      await lookUntil(page, async () => (await left.count()) > 0)
    })

    test('shows the bytes and layers of a pull while it runs, and the image when it is there', async (t) => {
      if (!requireStack(t, FULL_PROGRAMS)) return
      const { node, page } = await visitFull(t)
      const { bytes, pulled, release } = await pullSlowly(node, 'big')
      const row = page.locator('.pull')
      await lookUntil(page, async () => (await row.count()) > 0)
      const bar = row.getByRole('progressbar', { name: 'Pull of big' })

      while (!(Number(await bar.getAttribute('value')) > 0)) await page.clock.runFor(1_000)
      assert.ok(Number(await bar.getAttribute('value')) < bytes)
      assert.equal(Number(await bar.getAttribute('max')), bytes)
      assert.match(await seen(row), /[\d.]+ MiB of [\d.]+ MiB.*0 of 1 layers/s)
      assert.ok((await seen(row)).includes(`from ${node.first.host}`))
      release()
      await pulled
      while (await page.locator('#pulls').isVisible()) await page.clock.runFor(1_000)

      const image = page.locator('#images li', { hasText: 'library/big:latest' })
      await lookUntil(page, async () => (await image.count()) > 0)
    })
  })
})

function pullsOf(images: readonly { readonly references: readonly string[] }[], registry: string) {
  return images.slice(0, 100).map(({ references: [reference] }) => ({
    reference,
    registry,
    since: '2026-01-31T12:00:00.000Z',
    seconds: 12,
    pod: { namespace: 'n'.repeat(63), name: 'p'.repeat(253) },
    layers: { done: 3, total: 7, bytes: 1e9, totalBytes: 2e9 },
  }))
}

/** What axe-core finds, by its rules for WCAG 2.2 AA and its own advice. */
async function axeFindings(page: Page): Promise<readonly string[]> {
  // Evaluated, since the page lets no script in.
  const isThere = await page.evaluate("'axe' in window")
  if (!isThere) await page.evaluate(`${axe.source}; undefined`)
  // What is half faded in has the contrast of neither.
  await page.evaluate('for (const each of document.getAnimations()) each.cancel()')
  const { findings, passed } = (await page.evaluate(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ passes, violations }) => ({ passed: passes.length, findings: violations.map(({ id, nodes }) => id + ': ' + nodes.map((each) => each.html).join(' ')) }))",
  )) as { readonly findings: readonly string[]; readonly passed: number }
  assert.ok(passed > 10, `${passed} rules were looked at`)
  return findings
}

interface Scene {
  readonly first: FakeRegistry
  readonly second: FakeRegistry
  readonly daemon: Daemon
}

let shared: Promise<Scene> | undefined

/** One scene for the tests that leave it as it is. */
function sharedScene(): Promise<Scene> {
  shared ??= startScene({ after: (end) => void ends.push(end) })
  return shared
}

let divergent: Promise<Scene> | undefined

/** One whose registries have different images by one tag. */
function divergentScene(): Promise<Scene> {
  divergent ??= startScene({ after: (end) => void ends.push(end) }).then((scene) => {
    scene.second.put('library/nginx', '1.27', OTHER_IMAGE)
    return scene
  })
  return divergent
}

const FULL_PROGRAMS = [...RUNTIME_PROGRAMS, 'redis-server', ...BROWSER_PROGRAMS] as const
const TOKEN = 'open-sesame'
const PLACE = { registry: 'harbor.corp', reference: 'x', origin: false, configured: true } as const
const SOME_CHECK: CheckResponse = {
  enabled: true,
  checkedAt: '2026-01-31T12:00:00.000Z',
  error: 'the runtime does not answer',
  images: (['gone', 'node-only', 'denied', 'different', 'unknown', 'everywhere'] as const).map(
    (state) => ({
      state,
      reference: `docker.io/team/${state}@${IMAGE.digest}`,
      places: [{ ...PLACE, state: state === 'gone' ? 'absent' : 'denied' }],
    }),
  ),
}

interface FullScene {
  readonly node: TestNode
  readonly redis: Redis
}

let full: Promise<FullScene> | undefined

function fullScene(): Promise<FullScene> {
  full ??= startFull({ after: (end) => void ends.push(end) })
  return full
}

/** A node that fills every part of the page: a store of a fleet, registries that list what they have, images. */
async function startFull(t: Cleanup): Promise<FullScene> {
  const redis = await startRedis(t)
  const node = await startTestNode(t, {
    http: { listen: '127.0.0.1:0', token: TOKEN },
    cache: { shared: { url: redis.url, budget: '1s' } },
    mirrorsOnly: ['docker.io'],
  })
  await node.push('library/nginx', '1.27', IMAGE)
  await node.push('team/till', '2', OTHER_IMAGE)
  for (const image of ['docker.io/library/nginx:1.27', 'docker.io/team/till:2']) {
    await node.kubelet.pullImage(image)
  }
  return { node, redis }
}

/** A pull that stands still at a half of its bytes until it is released. */
async function pullSlowly({ first, kubelet, push }: TestNode, name: string) {
  const files = [{ path: 'big', content: randomBytes(4 << 20).toString('hex') }]
  const image = buildImage({ files, seed: name })
  const [, { bytes, digest }] = image.blobs as [Content, Content]
  await push(`library/${name}`, 'latest', image)
  let release = (): void => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let pieces = 0
  const piece = async (): Promise<void> => {
    pieces += 1
    if (pieces > 2) await released
  }
  first.behave(({ path }) =>
    path.includes(digest) ? { kind: 'drip', pieces: 4, piece } : { kind: 'forward' },
  )
  const pulled = kubelet.pullImage(name)
  pulled.catch(() => {})
  return { bytes: bytes.length, pulled, release }
}

/** The page of that node, with its token. */
async function visitFull(t: TestContext, options?: BrowserContextOptions) {
  const { node } = await fullScene()
  const { page } = await visit(t, node.daemon.httpUrl(), options)
  await page.getByRole('button', { name: 'Enter the token' }).click()
  await page.getByLabel('Token').fill(TOKEN)
  await page.getByRole('button', { name: 'Use it' }).click()
  return { page, node }
}

/** A service with two registries that have the image, and no other registry to ask. */
async function startScene(t: Cleanup, config: object = {}): Promise<Scene> {
  const first = await FakeRegistry.start(t)
  const second = await FakeRegistry.start(t)
  for (const each of [first, second]) each.put('library/nginx', '1.27', IMAGE)
  const cri = join(temporaryFolder(t), 'cri.sock')
  await startImageRuntime(t, cri, CRI_DOCKERD)
  const registries = [{ address: second.url, priority: 400 }]
  const daemon = await startDaemon(t, {
    cri,
    config: { address: first.url, registries, mirrorsOnly: ['docker.io'], ...config },
  })
  return { first, second, daemon }
}

/** Lets the clock of the page run until it shows something, and not as fast as it can: the service needs the processor too. */
async function lookUntil(
  page: Page,
  isShown: () => Promise<boolean>,
  stepMs = POLL_MS,
): Promise<void> {
  while (!(await isShown())) {
    await page.clock.runFor(stepMs)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** As the page shows it. */
function shortened(digest: string): string {
  return `${digest.slice(0, 'sha256:'.length + 12)}…${digest.slice(-8)}`
}

/** Runs in the page: of every text that is seen, how it stands out against what is behind it (WCAG 2.1). */
const CONTRASTS = `(() => {
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number)
  const luminance = (color) => {
    const [r, g, b] = numbers(color).map((each) => {
      const part = each / 255
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const behind = (element) => {
    const { backgroundColor } = getComputedStyle(element)
    return numbers(backgroundColor)[3] === 0 ? behind(element.parentElement) : backgroundColor
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  const seen = []
  while (walker.nextNode()) {
    const { textContent, parentElement } = walker.currentNode
    if (textContent.trim() === '' || !parentElement.checkVisibility()) continue
    if (parentElement.closest('.hidden, noscript, script') !== null) continue
    const pair = [getComputedStyle(parentElement).color, behind(parentElement)].map(luminance)
    const [dark, bright] = pair.sort((a, b) => a - b)
    seen.push({ ratio: (bright + 0.05) / (dark + 0.05), text: textContent })
  }
  return seen
})()`
