import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  compareMatches,
  matchUpstream,
  upstreamPattern,
} from '../../../src/registry/upstream-pattern.ts'

/** A folder with the tests of containers' registries.conf, written down. */
const folder = process.env['REFERENCE_VECTORS'] ?? ''
const file = join(folder, 'registries-conf-mirrors.tests.json')
const skip = existsSync(file) ? false : 'REFERENCE_VECTORS names no folder with these tests'

function matchLength(pattern: string, name: string): number {
  const [domain = '', ...path] = name.split('/')
  return matchUpstream(upstreamPattern(pattern), domain, path.join('/'))?.length ?? -1
}

test('a pattern matches a domain, what is below a domain, or a path of whole components', () => {
  const rows: readonly (readonly [pattern: string, name: string, length: number])[] = [
    ['docker.io', 'docker.io/library/nginx', 9],
    ['registry-1.docker.io', 'docker.io/library/nginx', 9],
    ['docker.io', 'quay.io/team/app', -1],
    ['quay.io/team', 'quay.io/team/app', 12],
    ['quay.io/team', 'quay.io/team', 12],
    ['quay.io/team', 'quay.io/teams/app', -1],
    ['quay.io/team', 'quay.io/other/team/app', -1],
    ['quay.io/team/app', 'quay.io/team', -1],
    ['*.corp', 'hub.corp/app', 8],
    ['*.corp', 'hub.eu.corp/app', 11],
    ['*.corp', 'corp/app', -1],
    ['*.corp', 'evilcorp/app', -1],
    ['*.corp', 'hub.corp.example/app', -1],
    ['*.corp/team', 'hub.corp/team/app', 13],
    ['*.corp/team', 'hub.corp/other/app', -1],
    ['*.io', 'docker.io/library/nginx', 9],
    ['*', 'docker.io/library/nginx', -1],
    ['**.corp', 'hub.eu.corp/app', -1],
    ['hub.corp:5000', 'hub.corp:5000/app', 13],
    ['hub.corp:5000', 'hub.corp:50000/app', -1],
    ['hub.corp', 'hub.corp:5000/app', -1],
    ['*.corp', 'hub.corp:5000/app', 13],
    ['*.corp:5000', 'hub.corp:5000/app', 13],
    ['*.corp:5000', 'hub.corp/app', -1],
  ]

  for (const [pattern, name, length] of rows) {
    assert.equal(matchLength(pattern, name), length, `${pattern} of ${name}`)
  }
})

test('the longer match says more, and of two of the same length the one that leaves less open', () => {
  const ordered = ['*.com', '*.example.com', 'hub.example.com', '*.com/a', 'hub.example.com/a/b']
  const matches = ordered.map((text) => {
    const match = matchUpstream(upstreamPattern(text), 'hub.example.com', 'a/b/c')
    assert.ok(match, text)
    return match
  })

  const sorted = [...matches].reverse().sort(compareMatches)

  assert.deepEqual(
    sorted.map(({ pattern }) => pattern.text),
    ordered,
  )
})

test('patterns match as prefixes do in registries.conf', { skip }, () => {
  const { tables } = JSON.parse(readFileSync(file, 'utf8'))
  const rows: readonly Row[] = [
    ...tables.TestRefMatchingPrefix,
    ...tables.TestRefMatchingSubdomainPrefix,
  ]
  const mapped = rows.filter(isRepository)

  assert.ok(mapped.length > 35, `${mapped.length} of ${rows.length}`)
  for (const { ref, prefix, matchLen } of mapped) {
    assert.equal(matchLength(prefix, repositoryOf(ref)), matchLen, `${prefix} of ${ref}`)
  }
})

interface Row {
  readonly ref: string
  readonly prefix: string
  readonly matchLen: number
}

/** Upstreams are repositories, without tag or digest; and another port is another registry here. */
function isRepository({ ref, prefix }: Row): boolean {
  const isExact = prefix.includes('@') || /:[^/]*$/.test(prefix.replace(/^[^/]*/, ''))
  return !isExact && !(ref === 'example.com:5000' && prefix === 'example.com')
}

function repositoryOf(ref: string): string {
  const [domain = '', ...path] = ref.replace(/@.*/, '').split('/')
  return [domain, ...path.map((component) => component.replace(/:.*/, ''))].join('/')
}
