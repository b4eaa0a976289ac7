import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nextPage } from '../../../src/registry/response-headers.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const ROWS: readonly [link: string | string[] | undefined, query: string | undefined][] = [
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

for (const [link, query] of ROWS) {
  test(`the next page of ${JSON.stringify(link)?.slice(0, 80)} is ${query}`, () => {
    assert.equal(nextPage(link), query)
  })
}

test('a header that opens links and closes none is read in no time', () => {
  const ms = cpuMs(() => assert.equal(nextPage('<'.repeat(64_000)), undefined))

  assert.ok(ms < 1_000, `${ms} ms`)
})
