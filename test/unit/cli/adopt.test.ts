import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planAdoption } from '../../../src/cli/commands/adopt.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import type { RegistryEntry } from '../../../src/registry/entry.ts'
import type { NodeImage } from '../../../src/runtime/types.ts'
import { runCli } from '../../support/cli.ts'

async function adopt(options: readonly string[], names: readonly string[]) {
  const given: string[][] = []
  let closed = 0
  const registry = { name: 'hub:5000', priority: 1, offline: true }
  const { code, out, err } = await runCli(['adopt', ...options], {
    names: async () => ({
      registries: [{ ...registry, endpoint: parseAddress('http://hub:5000') }],
      images: async () => [{ id: 'i', repoTags: names, repoDigests: [], size: 1n, pinned: false }],
      name: async (...pair) => {
        given.push(pair)
        return true
      },
      close: () => {
        closed += 1
      },
    }),
  })
  assert.deepEqual({ code, err, closed }, { code: 0, err: '', closed: 1 })
  return { text: out, given }
}

test('adopt gives the names that are missing and says so', async () => {
  const { text, given } = await adopt(
    ['--domain', 'docker.io'],
    ['hub:5000/library/x:1', 'hub:5000/pause:3'],
  )

  assert.deepEqual(given, [['hub:5000/library/x:1', 'docker.io/library/x:1']])
  assert.equal(
    text,
    'hub:5000/library/x:1 -> docker.io/library/x:1: added\n' +
      'hub:5000/pause:3: left as it is: no image of docker.io is asked for there by that path\n' +
      '1 added, 1 unknown\n',
  )
})

test('adopt --dry-run gives none', async () => {
  const { text, given } = await adopt(
    ['--domain', 'docker.io', '--dry-run'],
    ['hub:5000/library/x:1'],
  )

  assert.deepEqual(given, [])
  assert.match(text, /would be added\n1 would be added\n$/)
})

test('adopt --json prints every name as an object', async () => {
  const { text } = await adopt(['--json'], ['hub:5000/library/x:1'])

  const [{ reason, ...result }] = JSON.parse(text)
  assert.deepEqual(result, { imageId: 'i', from: 'hub:5000/library/x:1', outcome: 'unknown' })
  assert.match(reason, /--domain/)
})

test('adopt says so when there is nothing to do', async () => {
  const { text } = await adopt([], ['docker.io/library/x:1'])

  assert.equal(text, 'no image has a name of a configured registry\n')
})

test('adopt takes no domain that references cannot have', async () => {
  for (const domain of ['nginx', 'docker.io/library', '']) {
    const { code, err } = await runCli(['adopt', '--domain', domain])

    assert.equal(code, 2, domain)
    assert.match(err, /--domain .* is no domain as references have it/)
  }
})

const D = `sha256:${'d'.repeat(64)}`

function entry(address: string, fields: Partial<RegistryEntry> = {}): RegistryEntry {
  const endpoint = parseAddress(address)
  return { name: address, endpoint, priority: 500, offline: false, ...fields }
}

function image(id: string, ...names: readonly string[]): NodeImage {
  return {
    id,
    repoTags: names.filter((name) => !name.includes('@')),
    repoDigests: names.filter((name) => name.includes('@')),
    size: 1n,
    pinned: false,
  }
}

/** The plan for one image and one registry: the new name, or why there is none. */
function standsFor(name: string, registry: RegistryEntry, domain?: string): string {
  const [step, ...more] = planAdoption([image('i', name)], { registries: [registry], domain })
  assert.deepEqual(more, [])
  if (step === undefined) return 'not asked'
  return step.outcome === 'unknown' ? step.reason : `${step.outcome} ${step.name}`
}

test('an entry for one upstream tells the domain, of tags and of digests', () => {
  const hub = entry('http://hub:5000', { upstreams: ['quay.io'] })

  assert.equal(standsFor('hub:5000/team/app:1', hub), 'add quay.io/team/app:1')
  assert.equal(standsFor(`hub:5000/team/app@${D}`, hub), `add quay.io/team/app@${D}`)
})

test('a path template with the domain in it tells it, whatever --domain says', () => {
  const hub = entry('http://hub:5000/cache', { path: '{domain}/{path}' })

  assert.equal(
    standsFor('hub:5000/cache/registry.k8s.io/pause:3', hub, 'docker.io'),
    'add registry.k8s.io/pause:3',
  )
  assert.equal(standsFor('hub:5000/cache/a.corp_5000/x:1', hub), 'add a.corp:5000/x:1')
})

test('where nothing tells the domain, --domain has to', () => {
  const hub = entry('http://hub:5000')

  assert.match(standsFor('hub:5000/library/nginx:1', hub), /--domain/)
  assert.equal(
    standsFor('hub:5000/library/nginx:1', hub, 'docker.io'),
    'add docker.io/library/nginx:1',
  )
})

test('several upstreams, or a pattern of them, do not tell it', () => {
  const two = entry('http://hub:5000', { upstreams: ['docker.io', 'quay.io'] })
  const any = entry('http://hub:5000', { upstreams: ['*.corp'] })

  assert.match(standsFor('hub:5000/team/app:1', two), /--domain/)
  assert.match(standsFor('hub:5000/team/app:1', any), /--domain/)
  assert.equal(standsFor('hub:5000/team/app:1', two, 'quay.io'), 'add quay.io/team/app:1')
  assert.match(standsFor('hub:5000/team/app:1', two, 'ghcr.io'), /no image of ghcr.io/)
})

test('a name that an image of that domain would not have there is left', () => {
  const hub = entry('http://hub:5000')
  const team = entry('http://hub:5000', { upstreams: ['quay.io/team'] })

  assert.match(standsFor('hub:5000/pause:3', hub, 'docker.io'), /no image of docker.io/)
  assert.equal(standsFor('hub:5000/pause:3', hub, 'registry.k8s.io'), 'add registry.k8s.io/pause:3')
  assert.equal(standsFor('hub:5000/team/app:1', team), 'add quay.io/team/app:1')
  assert.match(standsFor('hub:5000/other/app:1', team), /no image of quay.io/)
})

test('names of public registries, of other hosts and below other prefixes are not asked about', () => {
  assert.equal(standsFor('docker.io/library/nginx:1', entry('docker.io'), 'docker.io'), 'not asked')
  assert.equal(standsFor('other:5000/library/nginx:1', entry('http://hub:5000')), 'not asked')
  assert.equal(standsFor('hub:5000/mine/nginx:1', entry('http://hub:5000/cache')), 'not asked')
})

test('a name that the image has already is not given again, one of another image not at all', () => {
  const registries = [entry('http://hub:5000', { upstreams: ['docker.io'] })]
  const images = [
    image('a', 'hub:5000/library/x:1', 'docker.io/library/x:1'),
    image('b', 'hub:5000/library/y:1'),
    image('c', 'docker.io/library/y:1'),
  ]

  const steps = planAdoption(images, { registries, domain: undefined })

  assert.deepEqual(
    steps.map(({ imageId, outcome }) => [imageId, outcome]),
    [
      ['a', 'there'],
      ['b', 'taken'],
    ],
  )
})

test('where two registries have different images by one name, the first that is asked wins', () => {
  const upstreams = ['docker.io']
  const registries = [
    entry('http://one:5000', { upstreams }),
    entry('http://two:5000', { upstreams }),
  ]
  const images = [image('b', 'two:5000/library/x:1'), image('a', 'one:5000/library/x:1')]

  const steps = planAdoption(images, { registries, domain: undefined })

  assert.deepEqual(
    steps.map(({ imageId, outcome }) => [imageId, outcome]),
    [
      ['a', 'add'],
      ['b', 'taken'],
    ],
  )
})

test('of two entries on one host the one that knows decides', () => {
  const registries = [
    entry('http://hub:5000'),
    entry('http://hub:5000/cache', { upstreams: ['quay.io'] }),
  ]

  const steps = planAdoption([image('a', 'hub:5000/cache/team/app:1')], {
    registries,
    domain: undefined,
  })

  assert.deepEqual(steps, [
    { imageId: 'a', from: 'hub:5000/cache/team/app:1', name: 'quay.io/team/app:1', outcome: 'add' },
  ])
})

test('the plan is in the order of names, whatever the order of the images is', () => {
  const images = [image('p', 'hub:5000/library/pause:3'), image('n', 'hub:5000/library/nginx:1')]
  const registries = [entry('http://hub:5000')]

  const there = planAdoption(images, { registries, domain: 'docker.io' })
  const back = planAdoption(images.toReversed(), { registries, domain: 'docker.io' })

  assert.deepEqual(
    there.map(({ from }) => from),
    ['hub:5000/library/nginx:1', 'hub:5000/library/pause:3'],
  )
  assert.deepEqual(back, there)
})
