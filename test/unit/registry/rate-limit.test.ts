import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rateLimitOf } from '../../../src/registry/response-headers.ts'

const HUB = { 'ratelimit-limit': '100;w=21600', 'ratelimit-remaining': '98;w=21600' }

const ROWS: readonly [name: string, headers: Record<string, string | string[]>, read: object][] = [
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

for (const [name, headers, read] of ROWS) {
  test(`the requests that are left are read as written by ${name}`, () => {
    assert.deepEqual(rateLimitOf(headers), read)
  })
}

for (const value of ['', 'many', '-1', '99999999999999999999', ';w=60']) {
  test(`${JSON.stringify(value)} says nothing of the requests that are left`, () => {
    assert.equal(rateLimitOf({ 'ratelimit-remaining': value }), undefined)
  })
}
