import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ContentReader,
  contentLines,
  headLine,
  parseHead,
} from '../../../../src/resolver/cache/snapshot-lines.ts'
import type { CacheContent, Resolution } from '../../../../src/resolver/types.ts'
import { keyOf, resolutionOf, scopeOf } from '../../../support/cache.ts'
import { digestOf, identity, nginx } from '../../../support/resolver.ts'

const HEAD = { format: 'image-resolver cache', version: 1, configuration: 'one' }
const KEY = keyOf('docker.io/library/nginx:latest')
const IMAGE = identity('nginx')

function linesFor(key: string, resolution: Resolution): readonly string[] {
  return written({ where: [[key, resolution]], what: [] })
}

function written(content: CacheContent): readonly string[] {
  return [...contentLines(content, scopeOf())].filter((line) => line !== undefined)
}

function readerOf(configuration = 'one'): ContentReader {
  return new ContentReader(scopeOf(), { ...HEAD, configuration })
}

/** A line as it is written, with some of its fields replaced. */
function lineWith(fields: object, kind: 'where' | 'what' = 'where'): string {
  const [line = ''] = linesFor(KEY, resolutionOf(nginx(), IMAGE))
  const parsed: { readonly where: object } = JSON.parse(line)
  return JSON.stringify({ [kind]: { ...parsed.where, ...fields } })
}

test('an answer is read as it was written, without attempts and reports', () => {
  const resolution = resolutionOf(nginx(), IMAGE)
  const told: Resolution = {
    ...resolution,
    source: 'stale',
    attempts: [{ registry: 'hub.corp', step: 'manifest', outcome: 'ok', ms: 5 }],
    candidates: [],
  }
  const [line = ''] = linesFor(KEY, told)
  const reader = readerOf()

  assert.ok(reader.read(line))

  assert.deepEqual(reader.content.where, [[KEY, resolution]])
  assert.deepEqual(reader.content.what, [{ asked: 'linux/amd64', identity: IMAGE }])
})

test("an answer that needed a caller's credentials is not written", () => {
  const lines = linesFor(
    keyOf('docker.io/library/nginx:latest', '0123456789abcdef'),
    resolutionOf(nginx(), IMAGE),
  )

  assert.deepEqual(lines, [])
})

test('what was learned under another generation of the configuration is not written', () => {
  const lines = linesFor(
    keyOf('docker.io/library/nginx:latest', 'anonymous', 2),
    resolutionOf(nginx(), IMAGE),
  )

  assert.deepEqual(lines, [])
})

test('a digest is written once, with the answer that it is in', () => {
  const content = {
    where: [[KEY, resolutionOf(nginx(), IMAGE)]] as const,
    what: [
      { asked: 'linux/amd64', identity: IMAGE },
      { asked: 'linux/arm64', identity: IMAGE },
    ],
  }

  const kinds = written(content).map((line) => Object.keys(JSON.parse(line)))

  assert.deepEqual(kinds, [['where'], ['what']])
})

test('under another configuration only what digests are is believed', () => {
  const reader = readerOf('two')

  assert.ok(reader.read(lineWith({})))

  assert.deepEqual(reader.content.where, [])
  assert.deepEqual(reader.content.what, [{ asked: 'linux/amd64', identity: IMAGE }])
})

test('answers are found under the generation of now', () => {
  const reader = new ContentReader(scopeOf('one', 7), HEAD)

  reader.read(lineWith({}))

  assert.equal(
    reader.content.where[0]?.[0],
    keyOf('docker.io/library/nginx:latest', 'anonymous', 7),
  )
})

test('an answer for a digest has no end', () => {
  const reference = nginx({ tag: undefined, digest: IMAGE.digest })
  const key = keyOf(`docker.io/library/nginx@${IMAGE.digest}`)
  const [line = ''] = linesFor(key, resolutionOf(reference, IMAGE, { expiresAt: undefined }))
  const reader = readerOf()

  assert.ok(reader.read(line))

  assert.equal(reader.content.where[0]?.[1].expiresAt, undefined)
})

test('unknown fields are not taken over', () => {
  const reader = readerOf()

  assert.ok(reader.read(lineWith({ attempts: 'all', extra: 1, source: 'cache' })))

  assert.deepEqual(reader.content.where[0]?.[1], resolutionOf(nginx(), IMAGE))
})

test('a field that cannot be makes the line invalid', () => {
  const other = digestOf('other')
  const references = resolutionOf(nginx(), IMAGE).references
  const [ranked] = references
  const wrong: readonly object[] = [
    { digest: 'sha256:abc' },
    { digest: undefined },
    { manifestDigest: 'SHA256:'.padEnd(71, 'a') },
    { imageId: 7 },
    { mediaType: '' },
    { mediaType: 'a b' },
    { size: -1 },
    { size: 1.5 },
    { size: '500' },
    { asked: '' },
    { asked: 'linux amd64' },
    { platform: 'linux/amd64' },
    { platform: { os: 'linux' } },
    { platform: { os: 'linux', architecture: 'arm', variant: 7 } },
    { reference: 'nginx' },
    { reference: 'docker.io/library/NGINX:latest' },
    { registry: 'a\nb' },
    { registry: 'x'.repeat(8_193) },
    { resolvedAt: 'yesterday' },
    { resolvedAt: null },
    { expiresAt: null },
    { expiresAt: undefined },
    { references: 'none' },
    { references: [null] },
    { references: [{ ...ranked, kind: 'name' }] },
    { references: [{ ...ranked, kind: 'tag' }] },
    { references: [{ ...ranked, reference: `hub.corp/library/nginx@${other}` }] },
    { references: [{ ...ranked, verified: 'yes' }] },
    { references: [{ ...ranked, priority: Number.NaN }] },
    { references: Array.from({ length: 1_025 }, () => ranked) },
  ]

  for (const fields of wrong) {
    assert.ok(!readerOf().read(lineWith(fields)), JSON.stringify(fields).slice(0, 200))
  }
})

test('an answer for a digest that is about another digest is invalid', () => {
  const reference = `docker.io/library/nginx@${digestOf('other')}`

  assert.ok(!readerOf().read(lineWith({ reference, expiresAt: undefined })))
})

test('a line that is no entry is invalid', () => {
  for (const line of [
    '',
    '{',
    '[]',
    'null',
    '7',
    '"where"',
    '{}',
    '{"where":null}',
    '{"what":[]}',
  ]) {
    assert.ok(!readerOf().read(line), line)
  }
})

test('what could not be read again is not written', () => {
  const strange = identity('nginx', { platform: { os: 'li nux', architecture: 'amd64' } })

  const lines = written({
    where: [[KEY, resolutionOf(nginx(), strange)]],
    what: [{ asked: 'linux/amd64', identity: strange }],
  })

  assert.deepEqual(lines, [])
})

test('a head is read as it was written', () => {
  assert.deepEqual(parseHead(headLine(scopeOf('sha256:abc'))), {
    ...HEAD,
    configuration: 'sha256:abc',
  })
})

test('a line that is no head is recognised', () => {
  for (const line of [
    '',
    'null',
    '{}',
    '{"format":7,"version":1}',
    '{"format":"x","version":"1"}',
  ]) {
    assert.equal(parseHead(line), undefined)
  }
})

test('what is known of a platform, and what is only assumed, stays so; of an older file all without an index is assumed', () => {
  const bare = { ...IMAGE, manifestDigest: IMAGE.digest }
  const assumed = { ...bare, platform: { ...bare.platform, assumed: true as const } }
  const read = (image: typeof bare, change = (line: string) => line) => {
    const reader = readerOf()
    for (const line of written({
      where: [[KEY, resolutionOf(nginx(), image)]],
      what: [{ asked: 'linux/arm64', identity: image }],
    })) {
      assert.ok(reader.read(change(line)))
    }
    return reader.content.what.map(({ identity: { platform } }) => platform.assumed)
  }
  const older = (line: string) => line.replaceAll(',"assumed":false', '')

  assert.deepEqual(read(bare), [undefined, undefined])
  assert.deepEqual(read(assumed), [true, true])
  assert.deepEqual(read(bare, older), [true, true])
  assert.deepEqual(read(IMAGE, older), [undefined, undefined])
  assert.equal(readerOf().read(lineWith({ platform: { ...IMAGE.platform, assumed: 1 } })), false)
})
