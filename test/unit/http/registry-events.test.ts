import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RequestError } from '../../../src/http/error-response.ts'
import { readRegistryEvent } from '../../../src/http/routes/events.ts'

const DIGEST = `sha256:${'a'.repeat(64)}`
const CHILD = `sha256:${'b'.repeat(64)}`

/** As distribution's page on notifications shows it. */
function distribution(action: string, target: object) {
  return {
    id: '320678d8-ca14-430f-8bb6-4ca139cd83f7',
    timestamp: '2016-03-09T14:44:26.402973972-08:00',
    action,
    target: {
      mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
      size: 708,
      length: 708,
      digest: DIGEST,
      repository: 'team/app',
      url: `http://192.168.100.227:5000/v2/team/app/manifests/${DIGEST}`,
      ...target,
    },
    request: {
      id: '6df24a34-0959-4923-81ca-14f09767db19',
      addr: '192.168.64.11:42961',
      host: '192.168.100.227:5000',
      method: 'PUT',
      useragent: 'curl/7.38.0',
    },
    actor: {},
    source: { addr: 'xtal.local:5000', instanceID: 'a53db899-3b4b-4a62-a067-8dd013beaca4' },
  }
}

/** As Harbor's page on webhooks shows it. */
function harbor(type: string, tag: string, url: string) {
  return { type, occur_at: 1680501893, operator: 'admin', event_data: harborData(tag, url) }
}

function harborData(tag: string, url: string) {
  return {
    resources: [{ digest: DIGEST, tag, resource_url: url }],
    repository: {
      date_created: 1680501893,
      name: 'alpine',
      namespace: 'harbor',
      repo_full_name: 'harbor/alpine',
      repo_type: 'private',
    },
  }
}

function cloudEvent(type: string, data: object, source = 'zotregistry.dev') {
  return {
    specversion: '1.0',
    id: '66e18103-09c1-41f6-982f-37df223f3eeb',
    source,
    type,
    datacontenttype: 'application/json',
    time: '2023-04-03T06:04:53Z',
    data,
  }
}

/** The fields of payload-examples/api.github.com in octokit/webhooks that are read, and some that are not. */
function github(name: string, event: 'package' | 'registry_package') {
  return {
    action: 'published',
    [event]: {
      name: 'hello-world',
      namespace: 'Codertocat/hello-world',
      ecosystem: 'docker',
      package_version: {
        version: DIGEST,
        container_metadata: { tag: { name, digest: DIGEST }, labels: { source: 'https://evil' } },
        package_url: `ghcr.io/Codertocat/hello-world:${name}`,
      },
      registry: { type: 'CONTAINER', url: 'https://CONTAINER.pkg.github.com/Codertocat' },
    },
  }
}

const quay = {
  name: 'repository',
  repository: 'dgangaia/test',
  namespace: 'dgangaia',
  docker_url: 'quay.io/dgangaia/test',
  homepage: 'https://quay.io/repository/dgangaia/repository',
}

const zot = { name: 'team/app', reference: '1.2', digest: DIGEST, mediaType: 'm', manifest: '{}' }

const app = { host: '192.168.100.227:5000', repository: 'team/app' }
const alpine = { host: 'harbor.corp', repository: 'harbor/alpine' }
const hello = { host: 'ghcr.io', repository: 'codertocat/hello-world' }

interface Row {
  readonly is: string
  readonly body: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly format: string
  readonly changes: readonly object[]
}

const rows: readonly Row[] = [
  {
    is: 'distribution: several events',
    body: {
      events: [
        distribution('push', { tag: 'latest' }),
        distribution('pull', { tag: 'latest' }),
        distribution('push', { mediaType: 'application/octet-stream' }),
        distribution('mount', { fromRepository: 'team/other' }),
        distribution('push', { tag: '1.2' }),
      ],
    },
    format: 'distribution',
    changes: [
      { ...app, tag: 'latest' },
      { ...app, tag: '1.2' },
    ],
  },
  {
    is: 'distribution: a manifest that is deleted takes any tag with it',
    body: { events: [distribution('delete', {})] },
    format: 'distribution',
    changes: [{ ...app, tag: undefined }],
  },
  {
    is: 'Harbor: a push',
    body: harbor('PUSH_ARTIFACT', 'v1', 'harbor.corp/harbor/alpine:v1'),
    format: 'harbor',
    changes: [{ ...alpine, tag: 'v1' }],
  },
  {
    is: 'Harbor: a push by digest, whose tag is the digest',
    body: harbor('PUSH_ARTIFACT', DIGEST, `https://harbor.corp/harbor/alpine@${DIGEST}`),
    format: 'harbor',
    changes: [{ ...alpine, tag: undefined }],
  },
  {
    is: 'Harbor: a pull',
    body: harbor('PULL_ARTIFACT', 'v1', 'harbor.corp/harbor/alpine:v1'),
    format: 'harbor',
    changes: [],
  },
  {
    is: 'Harbor: a scan, which is told otherwise',
    body: { type: 'SCANNING_COMPLETED', occur_at: 1, event_data: { scan: {} } },
    format: 'harbor',
    changes: [],
  },
  {
    is: 'Harbor: as a CloudEvent',
    body: cloudEvent('harbor.artifact.pushed', harborData('v1', 'harbor.corp/harbor/alpine:v1')),
    format: 'cloudevents',
    changes: [{ ...alpine, tag: 'v1' }],
  },
  {
    is: 'Zot: with its attributes in the headers',
    body: zot,
    headers: { 'ce-type': 'zotregistry.image.updated', 'ce-source': 'zotregistry.dev' },
    format: 'cloudevents',
    changes: [{ host: undefined, repository: 'team/app', tag: '1.2' }],
  },
  {
    is: 'Zot: in one body, with a source and a type that the operator chose',
    body: cloudEvent('com.example.image.updated', zot, 'https://zot.corp:8443/acme'),
    format: 'cloudevents',
    changes: [{ host: 'zot.corp:8443', repository: 'team/app', tag: '1.2' }],
  },
  {
    is: 'a CloudEvent whose data is base64',
    body: {
      ...cloudEvent('zotregistry.image.updated', {}),
      data: undefined,
      data_base64: Buffer.from(JSON.stringify(zot)).toString('base64'),
    },
    format: 'cloudevents',
    changes: [{ host: undefined, repository: 'team/app', tag: '1.2' }],
  },
  {
    is: 'Zot: a manifest that is deleted',
    body: cloudEvent('zotregistry.image.deleted', { ...zot, reference: CHILD }),
    format: 'cloudevents',
    changes: [{ host: undefined, repository: 'team/app', tag: undefined }],
  },
  {
    is: 'Zot: a manifest without a tag, a new repository',
    body: [
      cloudEvent('zotregistry.image.updated', { ...zot, reference: CHILD }),
      cloudEvent('zotregistry.repository.created', { name: 'team/app' }),
    ],
    format: 'cloudevents',
    changes: [],
  },
  {
    is: 'Quay',
    body: { ...quay, updated_tags: ['latest', '1.0'] },
    format: 'quay',
    changes: [
      { host: 'quay.io', repository: 'dgangaia/test', tag: 'latest' },
      { host: 'quay.io', repository: 'dgangaia/test', tag: '1.0' },
    ],
  },
  {
    is: 'Quay: older versions',
    body: { ...quay, updated_tags: { latest: 'b750fe79269d2ec9a3c593ef05b4332b' } },
    format: 'quay',
    changes: [{ host: 'quay.io', repository: 'dgangaia/test', tag: 'latest' }],
  },
  {
    is: 'Quay: a build, which changes no tag yet',
    body: { ...quay, build_id: '296ec063-5f86-4706-a469-f0a400bf9df2' },
    format: 'quay',
    changes: [],
  },
  {
    is: 'GitHub: registry_package',
    body: github('1.2', 'registry_package'),
    headers: { 'x-github-event': 'registry_package' },
    format: 'github',
    changes: [{ ...hello, tag: '1.2' }],
  },
  {
    is: 'GitHub: package, with an empty tag as in its example',
    body: github('', 'package'),
    headers: { 'x-github-event': 'package' },
    format: 'github',
    changes: [{ ...hello, tag: undefined }],
  },
  {
    is: 'GitHub: the ping of a new webhook',
    body: { zen: 'Keep it logically awesome.', hook_id: 1, hook: {} },
    headers: { 'x-github-event': 'ping' },
    format: 'github',
    changes: [],
  },
]

test('the tags of every notification that is documented are read', () => {
  for (const { is, body, headers = {}, format, changes } of rows) {
    assert.deepEqual(readRegistryEvent(body, headers), { format, changes }, is)
  }
})

test('names that no reference can have are passed over', () => {
  const targets = [
    { repository: '../admin', tag: 'a' },
    { repository: 'Team/App', tag: 'a' },
    { repository: 'a'.repeat(256), tag: 'a' },
    { repository: 'team/app', tag: 'a b' },
    { repository: 'team/app', tag: `a${'b'.repeat(128)}` },
    { repository: ['team/app'], tag: 'a' },
  ]
  const events = targets.map((target) => distribution('push', target))
  const strange = distribution('push', { tag: 'a' })
  const body = { events: [...events, { ...strange, request: { host: 'a/b?c' } }, null, 1, 'x'] }

  assert.deepEqual(readRegistryEvent(body, {}).changes, [])
})

test('a name over 512 characters names no tag, whichever field it is in', () => {
  const long = 'a'.repeat(513)
  const event = (change: object) => distribution('push', { tag: 'a', ...change })
  const packaged = (version: object) => ({ package: { package_version: version } })
  const ofGithub = { 'x-github-event': 'package' }
  const tag = { container_metadata: { tag: { name: 'a' } } }
  const bodies: readonly (readonly [unknown, Readonly<Record<string, string>>])[] = [
    [{ events: [event({ repository: `${'a/'.repeat(256)}a` })] }, {}],
    [{ events: [event({ tag: long })] }, {}],
    [{ events: [{ ...event({}), request: { host: long } }] }, {}],
    [harbor('PUSH_ARTIFACT', 'v1', `${long}/harbor/alpine:v1`), {}],
    [harbor('PUSH_ARTIFACT', `${long}:`, 'harbor.corp/harbor/alpine:v1'), {}],
    [{ ...quay, docker_url: `quay.io/${long}`, updated_tags: ['latest'] }, {}],
    [{ ...quay, updated_tags: [long] }, {}],
    [cloudEvent(`${long}.image.updated`, zot), {}],
    [cloudEvent('zotregistry.image.updated', { ...zot, reference: `${long}:` }), {}],
    [cloudEvent('zotregistry.image.updated', zot, `https://${long}`), {}],
    [packaged({ ...tag, package_url: `ghcr.io/${long}:a` }), ofGithub],
    [packaged({ ...tag, package_url: `a/${':a'.repeat(120_000)}/` }), ofGithub],
  ]

  for (const [body, headers] of bodies) {
    const { changes } = readRegistryEvent(body, headers)
    assert.deepEqual(changes, [], JSON.stringify(body).slice(0, 80))
  }
})

test('the tag is cut off the URL of a package, and a port is not', () => {
  const urls = [
    'ghcr.io/a/b',
    'ghcr.io/a/b:',
    'ghcr.io/a/b:1',
    'ghcr.io:443/a/b',
    'ghcr.io:443/a/b:1',
  ]
  const places = urls.map((url) => {
    const version = { package_url: url, container_metadata: { tag: { name: '1' } } }
    const { changes } = readRegistryEvent(
      { package: { package_version: version } },
      { 'x-github-event': 'package' },
    )
    return `${changes[0]?.host}/${changes[0]?.repository}`
  })

  assert.deepEqual(places, [
    'ghcr.io/a/b',
    'ghcr.io/a/b',
    'ghcr.io/a/b',
    'ghcr.io:443/a/b',
    'ghcr.io:443/a/b',
  ])
})

test('what is no notification is refused, and so is one that names too many tags', () => {
  const many = Array.from({ length: 257 }, (_, index) => `t${index}`)
  const bodies = [null, 1, 'x', [], [1], {}, { type: 'x' }, { ...quay, updated_tags: many }]

  for (const body of bodies) {
    assert.throws(() => readRegistryEvent(body, {}), RequestError, JSON.stringify(body))
  }
})
