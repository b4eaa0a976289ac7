import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  choosePlatform,
  formatPlatform,
  type Platform,
  parsePlatform,
} from '../../../src/reference/platform.ts'
import {
  dockerRef,
  familiarReference,
  formatReference,
  isImageId,
  parseNormalized,
  withDefaultTag,
} from '../../../src/reference/reference.ts'

/** A folder with the answers of the Go libraries, written down: see the two file names below. */
const folder = process.env['REFERENCE_VECTORS'] ?? ''
const skip = existsSync(folder)
  ? false
  : 'REFERENCE_VECTORS names no folder with recorded answers of the Go libraries'

interface ReferenceRow {
  readonly input: string
  readonly ok: boolean
  readonly normalized: string | null
  readonly withDefaultTag: string | null
  readonly dockerRef: string | null
  readonly familiar: string | null
  readonly domain: string | null
  readonly path: string | null
  readonly tag: string | null
  readonly digest: string | null
  readonly any: { readonly isImageID: boolean | null }
  readonly whenSha512Registered?: Partial<ReferenceRow>
}

interface PlatformRow {
  readonly target: string
  readonly normalized: string
  readonly matchesBestFirst: readonly string[]
  readonly noMatch: readonly string[]
}

test('references agree with every recorded answer of distribution/reference', { skip }, () => {
  const { vectors } = read('distribution-reference.vectors.json') as {
    readonly vectors: readonly ReferenceRow[]
  }

  assert.ok(vectors.length > 200)
  for (const row of vectors) {
    // With sha512 registered only the fields that differ are recorded.
    const expected = { ...row, ...row.whenSha512Registered }
    assert.equal(isImageId(row.input), row.any.isImageID === true, row.input)
    if (!expected.ok) {
      assert.throws(() => parseNormalized(row.input), { code: 'NAME_INVALID' }, row.input)
      continue
    }
    const reference = parseNormalized(row.input)
    assert.equal(formatReference(reference), expected.normalized)
    assert.equal(reference.digest ?? null, expected.digest)
    if (row.whenSha512Registered !== undefined) continue
    assert.equal(formatReference(withDefaultTag(reference)), expected.withDefaultTag)
    assert.equal(formatReference(dockerRef(reference)), expected.dockerRef)
    assert.equal(familiarReference(reference), expected.familiar)
    assert.equal(reference.domain, expected.domain)
    assert.equal(reference.path, expected.path)
    assert.equal(reference.tag ?? null, expected.tag)
  }
})

test('platforms agree with every recorded answer of containerd/platforms', { skip }, () => {
  const { rows } = read('containerd-platforms.matrix.json') as {
    readonly rows: readonly PlatformRow[]
  }

  assert.ok(rows.length > 20)
  for (const { target, normalized, matchesBestFirst, noMatch } of rows) {
    assert.equal(formatPlatform(parsePlatform(target)), normalized)
    // Backwards, so that being first in the index helps nobody but true equals.
    let children = [...noMatch, ...matchesBestFirst].reverse().map(child)
    const groups: string[] = []
    while (children.length > noMatch.length) {
      const best = choosePlatform(parsePlatform(target), children)
      assert.ok(best !== undefined, `${target} takes nothing of ${children.length}`)
      groups.push(formatPlatform(parsePlatform(best.name)))
      children = children.filter((other) => other !== best)
    }
    const expected = matchesBestFirst.map((name) => formatPlatform(parsePlatform(name)))
    assert.deepEqual(groups, expected, target)
    assert.equal(choosePlatform(parsePlatform(target), children), undefined, target)
  }
})

function read(name: string): unknown {
  return JSON.parse(readFileSync(join(folder, name), 'utf8'))
}

function child(name: string): { readonly name: string; readonly platform: Platform } {
  const [os = '', architecture = '', variant] = name.split('/')
  return { name, platform: { os, architecture, ...(variant && { variant }) } }
}
