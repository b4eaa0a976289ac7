import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { COMPONENT } from '../../../src/reference/grammar.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import { domainComponent, mirrorRepository } from '../../../src/resolver/candidates.ts'
import { entry, nginx } from '../../support/resolver.ts'

/** A folder with the tests of containers' registries.conf, written down. */
const folder = process.env['REFERENCE_VECTORS'] ?? ''
const file = join(folder, 'registries-conf-mirrors.tests.json')
const skip = existsSync(file) ? false : 'REFERENCE_VECTORS names no folder with these tests'

test('a repository is kept below the prefix, by the template', () => {
  const rows = [
    ['hub:5000', undefined, 'library/nginx'],
    ['harbor.corp/proxy', undefined, 'proxy/library/nginx'],
    ['harbor.corp', '{domain}/{path}', 'docker.io/library/nginx'],
    ['harbor.corp/cache', 'x-{domain}/y/{path}', 'cache/x-docker.io/y/library/nginx'],
  ] as const

  for (const [name, path, repository] of rows) {
    const where = entry(name, path === undefined ? {} : { path })
    assert.equal(mirrorRepository(nginx(), where), repository)
  }
})

test('nothing that a reference holds is read as a template again', () => {
  const where = entry('hub:5000', { path: '{domain}/{path}' })

  assert.equal(
    mirrorRepository(nginx({ domain: 'corp.example', path: 'path/domain' }), where),
    'corp.example/path/domain',
  )
})

test('a domain becomes one legal component, and no two domains the same', () => {
  const rows = [
    ['docker.io', 'docker.io'],
    ['hub.corp:5000', 'hub.corp_5000'],
    ['localhost', 'localhost'],
    ['Foo', 'foo'],
    ['[fd00::1]:5000', 'fd00__1-5000'],
    ['[fd00::1:5000]', 'fd00__1_5000'],
    ['[::1]:5000', '0__1-5000'],
    ['[fd00::]', 'fd00__0'],
    ['[::]', '0__0'],
  ] as const

  for (const [domain, component] of rows) {
    assert.equal(domainComponent(domain), component)
    assert.match(component, COMPONENT)
  }
})

test('a location takes over whole paths as registries.conf does for a domain', { skip }, () => {
  const { tables } = JSON.parse(readFileSync(file, 'utf8'))
  const rows: readonly Row[] = tables.TestRewriteReferenceSuccess
  // Here a path that was matched is kept, a location is never left out, and has its own port.
  const mapped = rows.filter(
    ({ inputRef, location, prefix }) =>
      location !== '' && !prefix.includes('/') && !/^[^/]*\.io:5000/.test(inputRef),
  )

  assert.ok(mapped.length >= 10, `${mapped.length} of ${rows.length}`)
  for (const { expected, inputRef, location } of mapped) {
    // Their digests are too short to be any.
    const reference = parseReference(inputRef.replace(/@.*/, ''))
    const where = entry(location)
    const pullName = `${where.endpoint.host}/${mirrorRepository(reference, where)}`
    assert.equal(pullName, expected.replace(/[:@](?!.*\/).*/, ''), inputRef)
  }
})

interface Row {
  readonly expected: string
  readonly inputRef: string
  readonly location: string
  readonly prefix: string
}
