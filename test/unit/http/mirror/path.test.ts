import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePath } from '../../../../src/http/mirror/path.ts'
import { formatReference } from '../../../../src/reference/reference.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`

function asked(path: string, ns?: unknown): string | undefined {
  const question = parsePath(path, ns)
  return question && `${question.kind} ${formatReference(question.reference)}`
}

test('a path names a repository of docker.io, of ns, or of the domain that it begins with', () => {
  const expected: readonly (readonly [string, unknown, string])[] = [
    ['library/nginx/manifests/1', undefined, 'manifests docker.io/library/nginx:1'],
    ['nginx/manifests/1', undefined, 'manifests docker.io/library/nginx:1'],
    ['team/app/manifests/1', 'quay.io', 'manifests quay.io/team/app:1'],
    ['nginx/manifests/1', 'registry-1.docker.io', 'manifests docker.io/library/nginx:1'],
    ['app/manifests/1', 'hub.corp:5000', 'manifests hub.corp:5000/app:1'],
    ['app/manifests/1', '[fd00::1]:5000', 'manifests [fd00::1]:5000/app:1'],
    ['quay.io/team/app/manifests/1', undefined, 'manifests quay.io/team/app:1'],
    ['quay.io/team/app/manifests/1', 'hub.corp', 'manifests hub.corp/quay.io/team/app:1'],
    [`a/b/blobs/${DIGEST}`, undefined, `blobs docker.io/a/b@${DIGEST}`],
    [`a/b/manifests/${DIGEST}`, undefined, `manifests docker.io/a/b@${DIGEST}`],
    [`a/b/referrers/${DIGEST}`, undefined, `referrers docker.io/a/b@${DIGEST}`],
    ['a/b/tags/list', undefined, 'tags docker.io/a/b'],
    ['a/manifests/manifests/tags/list', undefined, 'tags docker.io/a/manifests/manifests'],
  ]

  for (const [path, ns, answer] of expected) assert.equal(asked(path, ns), answer)
})

test('other paths are no questions', () => {
  for (const path of ['', '_catalog', 'a', 'a/manifests', 'tags/list', 'a/tags', 'manifests/1']) {
    assert.equal(asked(path), undefined)
  }
})

test('what is no name, no digest and no namespace is refused', () => {
  const refused: readonly (readonly [string, unknown, string])[] = [
    ['a b/manifests/1', undefined, 'NAME_INVALID'],
    ['a:1/manifests/1', undefined, 'NAME_INVALID'],
    [`a@${DIGEST}/manifests/1`, undefined, 'NAME_INVALID'],
    ['../a/manifests/1', undefined, 'NAME_INVALID'],
    ['a/manifests/1', 'http://quay.io', 'NAME_INVALID'],
    ['a/manifests/1', 'quay.io/team', 'NAME_INVALID'],
    ['a/manifests/1', ['quay.io', 'gcr.io'], 'NAME_INVALID'],
    ['a/manifests/-', undefined, 'MANIFEST_UNKNOWN'],
    ['a/blobs/1', undefined, 'DIGEST_INVALID'],
  ]

  for (const [path, ns, code] of refused) {
    assert.throws(() => asked(path, ns), { code }, `${path} ${ns}`)
  }
})
