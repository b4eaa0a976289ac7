import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CATALOG_SCOPE, mergedScope, pullScope } from '../../../../src/registry/auth/scope.ts'

const OWN = pullScope('library/app')

const ROWS: readonly [why: string, challenged: string | undefined, merged: string][] = [
  ['nothing is challenged', undefined, OWN],
  ['the same is challenged', 'repository:library/app:pull', OWN],
  [
    'more is asked for the same repository',
    'repository:library/app:metadata_read,pull',
    'repository:library/app:pull,metadata_read',
  ],
  ['it may write', 'repository:library/app:pull,push,delete,*', OWN],
  ['it is of another repository', 'repository:library/other:pull,metadata_read', OWN],
  ['it is GHCR’s placeholder', 'repository:user/image:pull', OWN],
  ['it is of another kind', 'registry:library/app:metadata_read', OWN],
  ['it is no scope', 'pull ::: *', OWN],
  [
    'there are several',
    'repository:library/other:pull repository:library/app:metadata_read',
    'repository:library/app:pull,metadata_read',
  ],
]

for (const [why, challenged, merged] of ROWS) {
  test(`the scope that is asked for is ${merged} where ${why}`, () => {
    assert.equal(mergedScope(OWN, challenged), merged)
  })
}

test('listing repositories needs all of the catalogue, whatever is challenged', () => {
  assert.equal(mergedScope(CATALOG_SCOPE, 'registry:catalog:*'), 'registry:catalog:*')
})

test('a repository may have a port in its name', () => {
  const own = pullScope('host:5000/app')

  assert.equal(mergedScope(own, `${own},metadata_read`), `${own},metadata_read`)
})
