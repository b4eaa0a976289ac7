import assert from 'node:assert/strict'
import { once } from 'node:events'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Agent, fetch as undiciFetch } from 'undici'
import { VERSION } from '../../api/version.ts'
import {
  type ClientOptions,
  ImageResolverClient,
  ImageResolverError,
  type PullEvent,
  type ResolveResult,
} from '../../src/client.ts'
import { ResolveError } from '../../src/errors.ts'
import type { AppOptions } from '../../src/http/app.ts'
import {
  AN_IMAGE,
  anAnswer,
  IMAGE_ID,
  openApp,
  ScriptedAnswers,
  someImages,
  someRegistries,
  someService,
  TOKEN,
} from '../support/http-app.ts'
import { startServer } from '../support/http-server.ts'
import { temporaryFolder } from '../support/stack.ts'

async function connect(
  t: TestContext,
  options: Partial<AppOptions> = {},
  client: ClientOptions = { token: TOKEN },
): Promise<ImageResolverClient> {
  const app = await openApp(t, options)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return new ImageResolverClient({ url: `${url}/`, ...client })
}

test('a reference is resolved with the options that are given', async (t) => {
  const answers = new ScriptedAnswers(anAnswer())
  const client = await connect(t, { answers })

  const { imageId } = await client.resolve('nginx', { platform: 'linux/arm64', refresh: true })

  assert.equal(imageId, IMAGE_ID)
  const [asked] = answers.asked
  assert.deepEqual(
    [asked?.input, asked?.options.platform, asked?.options.refresh],
    ['nginx', 'linux/arm64', true],
  )
})

test('many references are resolved one after the other, whatever becomes of each', async (t) => {
  const client = await connect(t, {
    answers: {
      answer: async (requested) => {
        if (requested === 'nope') throw new ResolveError('MANIFEST_UNKNOWN', 'nowhere')
        return anAnswer({ requested })
      },
    },
  })

  const results: ResolveResult[] = []
  for await (const result of client.resolveMany(['nginx', 'nope', 'redis'])) results.push(result)

  assert.deepEqual(
    results.map(({ requested, error }) => [requested, error?.errors[0]?.code]),
    [
      ['nginx', undefined],
      ['nope', 'MANIFEST_UNKNOWN'],
      ['redis', undefined],
    ],
  )
})

test('images are listed, shown, removed and pulled', async (t) => {
  const removed: string[] = []
  const client = await connect(t, {
    ...someImages({
      remove: async (image) => {
        removed.push(image)
      },
    }),
  })

  const listed = await client.images()
  const shown = await client.image('docker.io/library/nginx:latest')
  await client.removeImage('docker.io/library/nginx:latest')
  const events: PullEvent[] = []
  for await (const event of client.pull('nginx')) events.push(event)

  assert.deepEqual([listed, shown], [[AN_IMAGE], AN_IMAGE])
  assert.deepEqual(removed, ['docker.io/library/nginx:latest'])
  assert.deepEqual(
    events.map(({ state, imageId }) => [state, imageId]),
    [
      ['pulling', undefined],
      ['pulled', IMAGE_ID],
    ],
  )
})

test('registries, their pages and the numbers of the service are told', async (t) => {
  const client = await connect(t)

  const [registry] = await client.registries()
  const { repositories, next } = await client.repositories('harbor.corp/hub', { n: 2 })
  const { tags } = await client.tags('harbor.corp/hub', 'library/nginx', { last: '1.26' })
  const stats = await client.stats()
  const { version } = await client.version()

  assert.deepEqual(registry, someRegistries().statuses()[0])
  assert.deepEqual([repositories, next], [['library/nginx', 'team/app'], 'team/app'])
  assert.deepEqual(tags, ['1.27', 'latest'])
  assert.deepEqual(stats, someService().stats())
  assert.equal(version, VERSION)
})

test('an error has the code, the status, the attempts and the time to wait', async (t) => {
  const attempts = [{ registry: 'a', step: 'manifest', outcome: 'rate_limited', ms: 1 }] as const
  const error = new ResolveError('TOOMANYREQUESTS', 'slow down', { attempts, retryAfterMs: 5_000 })
  const client = await connect(t, { answers: new ScriptedAnswers(error) })

  await assert.rejects(client.resolve('nginx'), (thrown) => {
    assert.ok(thrown instanceof ImageResolverError)
    const { code, message, status, retryAfterMs } = thrown
    assert.deepEqual(
      [code, message, status, retryAfterMs],
      ['TOOMANYREQUESTS', 'slow down', 429, 5_000],
    )
    assert.deepEqual(thrown.attempts, attempts)
    return true
  })
})

test('without the token nothing can be removed', async (t) => {
  const client = await connect(t, {}, {})

  await assert.rejects(client.removeImage('nginx'), { code: 'UNAUTHORIZED', status: 401 })
})

test('who stops listening cancels the pull', { timeout: 60_000 }, async (t) => {
  let seen: AbortSignal | undefined
  const client = await connect(t, {
    ...someImages({
      pull: (_reference, signal) => {
        seen = signal
        return new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
      },
    }),
  })

  for await (const { state } of client.pull('nginx')) {
    assert.equal(state, 'pulling')
    break
  }

  assert.ok(seen)
  if (!seen.aborted) await once(seen, 'abort')
})

test('the signal ends a call', async (t) => {
  const client = await connect(t)

  const call = client.registries({ signal: AbortSignal.abort() })

  await assert.rejects(call, { name: 'AbortError' })
})

test('something else at the address of the service is told as such', async (t) => {
  const { url } = await startServer(t, (_request, response) => {
    response.writeHead(502).end('<html>Bad Gateway</html>')
  })
  const client = new ImageResolverClient({ url })

  await assert.rejects(client.images(), { code: 'UNKNOWN', status: 502, message: /its address\?$/ })
})

test('every tag and every repository is read, page by page', async (t) => {
  const pages: readonly { readonly names: string[]; readonly next: string | null }[] = [
    { names: ['1', '2'], next: '2' },
    { names: ['3'], next: '3' },
    { names: [], next: null },
  ]
  const asked: unknown[] = []
  const page = async (name: string, { n, last }: { n: number; last?: string }) => {
    asked.push([name, n, last])
    return pages[last === undefined ? 0 : last === '2' ? 1 : 2] ?? assert.fail(last)
  }
  const client = await connect(t, {
    registries: someRegistries({
      repositories: async (registry, options) => {
        const { names, next } = await page(registry, options)
        return { registry, repositories: names, next }
      },
      tags: async (registry, repository, options) => {
        const { names, next } = await page(`${registry} ${repository}`, options)
        return { registry, repository, tags: names, next }
      },
    }),
  })
  const all = async (names: AsyncIterable<string>) => {
    const found: string[] = []
    for await (const name of names) found.push(name)
    return found
  }

  assert.deepEqual(await all(client.allTags('harbor.corp/hub', 'team/app', { n: 2 })), [
    '1',
    '2',
    '3',
  ])
  assert.deepEqual(await all(client.allRepositories('harbor.corp/hub')), ['1', '2', '3'])
  for await (const first of client.allTags('harbor.corp/hub', 'team/app')) {
    assert.equal(first, '1')
    break
  }

  assert.deepEqual(asked, [
    ['harbor.corp/hub team/app', 2, undefined],
    ['harbor.corp/hub team/app', 2, '2'],
    ['harbor.corp/hub team/app', 2, '3'],
    ['harbor.corp/hub', 1_000, undefined],
    ['harbor.corp/hub', 1_000, '2'],
    ['harbor.corp/hub', 1_000, '3'],
    ['harbor.corp/hub team/app', 1_000, undefined],
  ])
})

test('readyz answers also while the service is not ready, and rejects what another program answers', async (t) => {
  const door = { door: 'cri', open: false, reason: 'the runtime is down' }
  const closed = await connect(t, { readiness: { check: async () => [door] } })
  const open = await connect(t, { readiness: { check: async () => [{ ...door, open: true }] } })
  const other = new ImageResolverClient({
    fetch: async () => new Response('sorry', { status: 503 }),
  })

  assert.deepEqual(await closed.readyz(), { status: 'not_ready', doors: [door] })
  assert.equal((await open.readyz()).status, 'ready')
  await assert.rejects(other.readyz(), { name: 'ImageResolverError', status: 503 })
})

test('the configuration comes as text', async (t) => {
  const client = await connect(t, {
    service: { ...someService(), config: async () => 'debug: true\n' },
  })

  assert.equal(await client.config(), 'debug: true\n')
})

test('a service on a unix socket is asked through undici, as the docs show', async (t) => {
  const path = join(temporaryFolder(t), 'http.sock')
  const app = await openApp(t)
  await app.listen({ path })
  const dispatcher = new Agent({ connect: { socketPath: path } })
  t.after(() => dispatcher.close())
  const overSocket = (url: string, init: object) => undiciFetch(url, { ...init, dispatcher })
  const client = new ImageResolverClient({
    url: 'http://localhost',
    fetch: overSocket as unknown as typeof fetch,
  })

  assert.equal((await client.readyz()).status, 'ready')
  assert.equal((await client.version()).version, VERSION)
})
