import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextPage, rateLimitOf, retryAfterMs, warningOf } from '../../../src/registry/response.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const NOW = Date.parse('2026-01-01T00:00:00Z')

const RETRY_AFTERS: readonly [value: string | undefined, ms: number][] = [
  ['30', 30_000],
  [' 0 ', 0],
  ['0.5', 500],
  ['10.5', 10_500],
  ['.25', 250],
  ['+5', 5_000],
  ['-1', 0],
  ['-0.5', 0],
  ['880.092µs', 0.880_092],
  ['1.16676ms', 1.166_76],
  ['1m30.5s', 90_500],
  ['30s', 30_000],
  ['2h', 3_600_000],
  ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
  ['Thursday, 01-Jan-26 00:01:00 GMT', 60_000],
  ['Thu Jan  1 00:01:00 2026', 60_000],
  ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
  ['2026-01-01T00:00:30Z', 30_000],
  ['999999999', 3_600_000],
  [String(NOW / 1_000 + 45), 45_000],
  ['9'.repeat(400), 3_600_000],
  ['soon', 10_000],
  ['soon 1', 10_000],
  ['-5x', 10_000],
  ['1.2.3', 10_000],
  ['5 minutes', 10_000],
  ['', 10_000],
  [undefined, 10_000],
]

for (const [value, ms] of RETRY_AFTERS) {
  test(`Retry-After ${JSON.stringify(value?.slice(0, 40))} is a wait of ${ms} ms`, () => {
    const waits = retryAfterMs(value === undefined ? {} : { 'retry-after': value }, NOW)
    assert.ok(Math.abs(waits - ms) < 1e-6, `${waits} ms`)
  })
}

test('a rate limit that is used up is a wait of 15 minutes where nothing else is said', () => {
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '0;w=21600' }, NOW), 900_000)
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '0;w=21600', 'retry-after': '5' }, NOW), 5_000)
  assert.equal(retryAfterMs({ 'ratelimit-remaining': '3;w=21600' }, NOW), 10_000)
})

test("Docker Hub's X-Retry-After is the second from which it may be asked again", () => {
  const seconds = String(NOW / 1_000 + 90)

  assert.equal(retryAfterMs({ 'x-retry-after': seconds }, NOW), 90_000)
  assert.equal(retryAfterMs({ 'x-retry-after': seconds, 'retry-after': 'soon' }, NOW), 90_000)
})

test('what the body says counts where no header says it', () => {
  const told = 'retry-after: 880.092µs, allowed: 44000/minute'

  assert.ok(Math.abs(retryAfterMs({}, NOW, told) - 0.880_092) < 1e-6)
  assert.equal(retryAfterMs({}, NOW, 'toomanyrequests: Retry-After: 2.5s'), 2_500)
  assert.equal(retryAfterMs({}, NOW, 'retry-after: 7'), 7_000)
  assert.equal(retryAfterMs({}, NOW, 'retry-after: later, please'), 10_000)
  assert.equal(retryAfterMs({}, NOW, 'slow down'), 10_000)
  assert.equal(retryAfterMs({ 'retry-after': '3' }, NOW, told), 3_000)
})

test('a wait is read the same in every time zone', (t) => {
  const before = process.env['TZ']
  t.after(() => {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  })
  process.env['TZ'] = 'Asia/Tokyo'

  assert.equal(retryAfterMs({ 'retry-after': 'Thu Jan  1 00:01:00 2026' }, NOW), 60_000)
})

const HUB = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '98;w=21600' }

const RATE_LIMITS: readonly [
  name: string,
  headers: Record<string, string | string[]>,
  read: object,
][] = [
  ['Docker Hub', HUB, { remaining: 98, limit: 100, windowSeconds: 21_600 }],
  ['Docker Hub, used up', { 'ratelimit-remaining': '0;w=60' }, { remaining: 0, windowSeconds: 60 }],
  [
    'the drafts with separate fields',
    { 'ratelimit-limit': '100, 100;w=60', 'ratelimit-remaining': '7', 'ratelimit-reset': '50' },
    { remaining: 7, limit: 100, windowSeconds: 60 },
  ],
  [
    'the older drafts with one field',
    { ratelimit: 'limit=100, remaining=50, reset=5' },
    { remaining: 50, limit: 100 },
  ],
  ['the newer drafts with one field', { ratelimit: '"default";r=50;t=30' }, { remaining: 50 }],
  [
    'GitLab and others',
    { 'x-ratelimit-remaining': '5', 'x-ratelimit-limit': '9' },
    { remaining: 5, limit: 9 },
  ],
  ['a proxy that repeats fields', { 'ratelimit-remaining': ['3', '2'] }, { remaining: 3 }],
]

for (const [name, headers, read] of RATE_LIMITS) {
  test(`the requests that are left are read as written by ${name}`, () => {
    assert.deepEqual(rateLimitOf(headers), read)
  })
}

for (const value of ['', 'many', '-1', '99999999999999999999', ';w=60']) {
  test(`${JSON.stringify(value)} says nothing of the requests that are left`, () => {
    assert.equal(rateLimitOf({ 'ratelimit-remaining': value }), undefined)
  })
}

const WARNINGS: readonly [value: string | undefined, text: string | undefined][] = [
  [undefined, undefined],
  ['299 - "this repository moves"', 'this repository moves'],
  ['299 - "a \\"quoted\\" word"', 'a "quoted" word'],
  ['299 - "one", 299 corp "two"', 'one; two'],
  ['299 - "one", 299 - "one", 299 - "two"', 'one; two'],
  ['110 - "stale"', undefined],
  ['110 - "stale", 299 - "moves"', 'moves'],
  ['299 - unquoted', undefined],
  ['299 - ""', undefined],
  ['299 - "see https://x.corp/a?token=secret"', 'see https://x.corp/a'],
]

for (const [value, text] of WARNINGS) {
  test(`of the header Warning: ${JSON.stringify(value)} the text is ${JSON.stringify(text)}`, () => {
    const headers = value === undefined ? {} : { warning: value }

    assert.equal(warningOf(headers), text)
  })
}

test('a long warning is cut', () => {
  const text = warningOf({ warning: `299 - "${'x'.repeat(10_000)}"` })

  assert.equal(text, 'x'.repeat(200))
})

const LINKS: readonly [link: string | string[] | undefined, query: string | undefined][] = [
  [undefined, undefined],
  ['', undefined],
  ['</v2/a/tags/list?n=2&last=b>; rel="next"', 'n=2&last=b'],
  ['<https://other.corp/v2/a/tags/list?last=b>; rel="next"', 'last=b'],
  ['</x?next_page=opaque%3D>; rel=next', 'next_page=opaque%3D'],
  ['</x?a=1>; rel="prev", </x?a=2>; title="t"; rel="next"', 'a=2'],
  [['</x?a=1>; rel="prev"', '</x?a=2>; rel="next"'], 'a=2'],
  ['</x?a=1>; rel="prev"', undefined],
  ['</x>; rel="next"', undefined],
  ['<http://[>; rel="next"', undefined],
  [`</x?last=${'b'.repeat(3_000)}>; rel="next"`, undefined],
]

for (const [link, query] of LINKS) {
  test(`the next page of ${JSON.stringify(link)?.slice(0, 80)} is ${query}`, () => {
    assert.equal(nextPage(link), query)
  })
}

test('a header that opens links and closes none is read in no time', () => {
  const ms = cpuMs(() => assert.equal(nextPage('<'.repeat(64_000)), undefined))

  assert.ok(ms < 1_000, `${ms} ms`)
})
