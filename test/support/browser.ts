import {
  type Browser,
  type BrowserContextOptions,
  chromium,
  type Locator,
  type Page,
} from 'playwright-core'
import { type Cleanup, findProgram } from './stack.ts'

export const BROWSER_PROGRAMS = ['chromium'] as const

/** One tab of a browser that has never been anywhere. */
export interface Visit {
  readonly page: Page
  /** What the page, or the browser about it, wrote to the console; errors nobody caught included. */
  readonly messages: readonly string[]
  /** The hosts that were asked for anything. */
  readonly hosts: ReadonlySet<string>
}

/** Only what hangs gets there. */
const LAUNCH_MS = 120_000
/** Later than a busy machine stops the clock. */
const STOPPED_MS = 60_000

let browser: Promise<Browser> | undefined

/** Who visits has to call it after the last test of the file. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
}

/** A tab in a headless Chromium, closed with the test. */
export async function visit(
  t: Cleanup,
  url: string,
  options: BrowserContextOptions = {},
): Promise<Visit> {
  browser ??= chromium.launch({
    timeout: LAUNCH_MS,
    executablePath: findProgram('chromium') ?? 'chromium',
    // Chromium refuses to have a sandbox as root.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  })
  // What is on its way from one look to another is neither.
  const fixed = { viewport: { width: 1200, height: 900 }, reducedMotion: 'reduce' } as const
  const context = await (await browser).newContext({ ...fixed, ...options })
  t.after(() => context.close())
  // Only what never comes true gets there: sooner than the tests' own limits, which do not say what was waited for.
  context.setDefaultTimeout(60_000)
  const page = await context.newPage()
  const messages: string[] = []
  const hosts = new Set<string>()
  page.on('console', (message) => {
    // On a busy machine a runtime takes the second to answer after which the service is not ready.
    const isNotReady = new URL(message.location().url || url).pathname === '/readyz'
    if (!isNotReady || !message.text().includes('503')) messages.push(message.text())
  })
  page.on('pageerror', (error) => messages.push(String(error)))
  page.on('request', (request) => hosts.add(new URL(request.url()).host))
  await page.clock.install()
  await page.goto(url)
  return { page, messages, hosts }
}

/** From now on the clock of the page runs as far as it is told: what is shown for a while stays until then. */
export async function stopClock(page: Page): Promise<void> {
  const now = (await page.evaluate('Date.now()')) as number
  // It cannot be set back, and runs until it is stopped.
  await page.clock.pauseAt(now + STOPPED_MS)
}

/** The text of what is on the screen, as people read it. */
export async function seen(locator: Locator): Promise<string> {
  return (await locator.allInnerTexts()).join('\n')
}
