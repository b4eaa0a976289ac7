import assert from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { gunzipSync } from 'node:zlib'
import type { FastifyInstance } from 'fastify'
import { ErrorResponse } from '../../../api/v1/error.ts'
import { pageRoutes } from '../../../src/http/routes/page.ts'
import { openApp } from '../../support/http-app.ts'
import { temporaryFolder } from '../../support/stack.ts'

const FOLDER = new URL('../../../src/http/page/', import.meta.url)
/** As sources: built, they are less than two thirds, which test/e2e/page.test.ts measures. */
const MOST_BYTES = 64 * 1024

test('lets a browser load nothing but its own files, and run nothing in them but scripts', async (t) => {
  const app = await openPage(t)

  const { headers, statusCode } = await app.inject('/')

  assert.equal(statusCode, 200)
  assert.equal(headers['content-type'], 'text/html; charset=utf-8')
  assert.equal(headers['x-content-type-options'], 'nosniff')
  assert.equal(headers['referrer-policy'], 'no-referrer')
  const policy = String(headers['content-security-policy']).split('; ')
  assert.ok(policy.includes("default-src 'none'"))
  assert.ok(policy.includes("frame-ancestors 'none'"))
  assert.ok(policy.includes("require-trusted-types-for 'script'"))
  assert.ok(!policy.some((each) => each.includes('unsafe')))
})

test('is there with all its files, small altogether', async (t) => {
  const app = await openPage(t)

  const files = await loadAll(app)

  assert.ok(files.size > 15, `only ${files.size} files were seen`)
  const bytes = [...files.values()].reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  assert.ok(bytes < MOST_BYTES, `${bytes} bytes`)
})

test('leads to the contract of the API, and says where its documentation is', async (t) => {
  const app = await openPage(t)

  const { payload } = await app.inject('/')

  const [footer = ''] = /<footer>[\s\S]*<\/footer>/.exec(payload) ?? []
  const [, contract = ''] = /href="(.*?)"/.exec(footer) ?? []
  assert.equal((await app.inject(`/${contract}`)).json().openapi.split('.')[0], '3')
  assert.match(footer, /<code>man image-resolver<\/code>, <code>image-resolver help<\/code>/)
  assert.match(footer, /<code>\/usr\/share\/doc\/image-resolver<\/code>/)
})

test('asks in none of its files for another host', async (t) => {
  const app = await openPage(t)

  const files = await loadAll(app)

  const addresses = [...files.values()].flatMap((text) => text.match(/https?:\/\/[^'"\s]+/g) ?? [])
  assert.deepEqual([...new Set(addresses)], ['http://www.w3.org/2000/svg'])
})

test('is sent again only when it has changed, and compressed where that is understood', async (t) => {
  const app = await openPage(t)

  const plain = await app.inject('/page/page.js')
  const headers = { 'accept-encoding': 'gzip' }
  const compressed = await app.inject({ url: '/page/page.js', headers })
  const tag = String(plain.headers['etag'])
  const again = await app.inject({ url: '/page/page.js', headers: { 'if-none-match': tag } })

  assert.equal(plain.headers['cache-control'], 'no-cache')
  assert.equal(compressed.headers['content-encoding'], 'gzip')
  assert.equal(gunzipSync(compressed.rawPayload).toString(), plain.payload)
  assert.equal(again.statusCode, 304)
})

test('answers HEAD, and no other method', async (t) => {
  const app = await openPage(t)

  const head = await app.inject({ method: 'HEAD', url: '/' })
  const post = await app.inject({ method: 'POST', url: '/' })

  assert.equal(head.statusCode, 200)
  assert.equal(head.payload, '')
  assert.equal(post.statusCode, 405)
})

test('gives out nothing that is not of the page', async (t) => {
  const app = await openPage(t)

  for (const name of ['tsconfig.json', '..%2Fapp.ts', 'none.js', '%2Fetc%2Fpasswd']) {
    const { statusCode, payload } = await app.inject(`/page/${name}`)

    assert.equal(statusCode, 404, name)
    assert.equal(JSON.parse(payload).errors[0].code, 'ROUTE_UNKNOWN')
  }
})

test('is read again after its files could not be read', async (t) => {
  const folder = join(temporaryFolder(t), 'page')
  const app = await openPage(t, pathToFileURL(`${folder}/`))

  const before = await app.inject('/')
  cpSync(fileURLToPath(FOLDER), folder, { recursive: true })
  const after = await app.inject('/')

  assert.equal(before.statusCode, 500)
  assert.equal(after.statusCode, 200)
})

test('has words for every error, and knows what to do about it', async () => {
  const { advice, headlines } = await import(new URL('advice.js', FOLDER).href)

  const { code } = ErrorResponse.properties.errors.items.properties
  for (const words of [advice, headlines]) {
    const unknown = code.enum.filter((each) => typeof words[each] !== 'string')

    assert.deepEqual(unknown, [])
  }
  assert.ok(code.enum.length > 15)
})

function openPage(t: TestContext, folder?: URL): Promise<FastifyInstance> {
  return openApp(t, { page: (scope) => pageRoutes(scope, folder) })
}

/** The page and everything it refers to, by path. */
async function loadAll(app: FastifyInstance): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  const paths = ['/']
  for (const path of paths) {
    if (files.has(path)) continue
    const { payload, statusCode } = await app.inject(path)
    assert.equal(statusCode, 200, path)
    files.set(path, payload)
    const named = payload.matchAll(/(?:src|href|from) ?=? ?["'](?:page|\.)\/([\w.-]+)["']/g)
    paths.push(...[...named].map(([, name]) => `/page/${name}`))
  }
  return files
}
