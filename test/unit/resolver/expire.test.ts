import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseReference } from '../../../src/reference/reference.ts'
import { ConfiguredRegistries } from '../../../src/registry/registries.ts'
import { changedBy } from '../../../src/resolver/changed-tags.ts'
import { entry, identity } from '../../support/resolver.ts'
import { down, has, missing, resolverScene } from '../../support/resolver-scene.ts'

const nginx = parseReference('nginx')
const changed = { host: undefined, repository: 'library/nginx', tag: 'latest' }

test('a tag that changed is asked for again long before its time is up', async () => {
  const { resolver, source, cache } = resolverScene({ m1: has(identity('old')) })
  await resolver.resolve(nginx)
  source.replies['m1'] = has(identity('new'))

  assert.equal((await resolver.resolve(nginx)).digest, identity('old').digest)
  assert.equal(resolver.expire([changed]), 1)

  const after = await resolver.resolve(nginx)
  assert.equal(after.digest, identity('new').digest)
  assert.equal(after.source, 'registry')
  assert.equal(cache.counts().entries.where, 1)
  assert.equal(resolver.expire([{ ...changed, tag: '1.27' }]), 0)
  assert.equal((await resolver.resolve(nginx)).source, 'cache')
})

test('a prepared question has the registry asked as well', async () => {
  const { resolver } = resolverScene({ m1: has(identity('old')) })
  await resolver.resolve(nginx)
  const cached = resolver.prepare(nginx)
  assert.ok(cached())

  resolver.expire([changed])

  assert.equal(cached(), undefined)
})

test('the old answer of a tag that changed is still there when no registry answers', async () => {
  const { resolver, source } = resolverScene({ m1: has(identity('old')) })
  await resolver.resolve(nginx)
  Object.assign(source.replies, { m1: down, m2: down, 'docker.io': down })

  resolver.expire([changed])

  assert.equal((await resolver.resolve(nginx)).source, 'stale')
})

test('an image that was nowhere is found as soon as it is pushed', async () => {
  const { resolver, source } = resolverScene({ m1: missing, m2: missing, 'docker.io': missing })
  await assert.rejects(resolver.resolve(nginx), { code: 'MANIFEST_UNKNOWN' })
  source.replies['m1'] = has(identity('new'))
  await assert.rejects(resolver.resolve(nginx), { code: 'MANIFEST_UNKNOWN' })

  assert.equal(resolver.expire([changed]), 1)

  assert.equal((await resolver.resolve(nginx)).digest, identity('new').digest)
})

test('what was asked before a tag changed goes to its caller, and to no later one', async () => {
  let answer = (): void => {}
  const { resolver, source, cache } = resolverScene({
    m1: () =>
      new Promise((resolve) => {
        answer = () => resolve(identity('old'))
      }),
  })
  const early = resolver.resolve(nginx)
  await new Promise(setImmediate)
  source.replies['m1'] = has(identity('new'))

  resolver.expire([changed])
  const late = resolver.resolve(nginx)
  assert.equal((await late).digest, identity('new').digest)
  answer()

  assert.equal((await early).digest, identity('old').digest)
  assert.equal((await resolver.resolve(nginx)).digest, identity('new').digest)
  assert.equal(cache.counts().entries.where, 1)
})

test('digests never expire, and other tags do not', async () => {
  const { resolver } = resolverScene({ m1: has(identity('old')) })
  await resolver.resolve(parseReference(`nginx@${identity('old').digest}`))
  await resolver.resolve(parseReference('nginx:1.27'))
  await resolver.resolve(parseReference('redis'))

  assert.equal(resolver.expire([changed]), 0)
})

const configured = new ConfiguredRegistries(
  [
    entry('harbor.corp/hub', {
      endpoint: { scheme: 'https', host: 'harbor.corp', prefix: 'hub' },
      upstreams: ['docker.io'],
    }),
    entry('hub:5000', { endpoint: { scheme: 'http', host: 'hub:5000', prefix: '' } }),
  ],
  1,
)

const places: readonly (readonly [string, string | undefined, string, string[]])[] = [
  ['a repository of a mirror, prefix included', 'harbor.corp', 'hub/library/nginx', ['nginx']],
  ['the same at another registry', 'hub:5000', 'hub/library/nginx', []],
  ['a host by no name that is known here', 'harbor.harbor.svc', 'hub/library/nginx', ['nginx']],
  ['no host', undefined, 'library/nginx', ['nginx']],
  ['the origin by any of its names', 'index.docker.io', 'library/nginx', ['nginx']],
  ['a registry that serves every domain', 'hub:5000', 'team/app', ['quay.io/team/app']],
  ['a public registry', 'quay.io', 'team/app', ['quay.io/team/app']],
  ['a public registry that is not asked for it', 'ghcr.io', 'team/app', []],
]

test('a notification is about the references that lead to that repository', () => {
  for (const [is, host, repository, expected] of places) {
    const isChanged = changedBy([{ host, repository, tag: 'latest' }], configured)

    const references = ['docker.io/library/nginx:latest', 'quay.io/team/app:latest']
    const familiar = references
      .filter(isChanged)
      .map((each) => each.replace('docker.io/library/', ''))
    assert.deepEqual(
      familiar,
      expected.map((each) => `${each}:latest`),
      is,
    )
  }
})
