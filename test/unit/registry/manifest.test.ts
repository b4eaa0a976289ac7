import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ImageIndex, parseManifest, signedPayload } from '../../../src/registry/manifest.ts'
import {
  buildImage,
  buildIndex,
  content,
  DOCKER_CONFIG,
  DOCKER_LIST,
  DOCKER_MANIFEST,
  descriptor,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
} from '../../support/images.ts'

const IMAGE = buildImage()
const DIGEST = IMAGE.digest
const SUBJECT = { name: 'host.corp/app:1', digest: DIGEST, size: 2 }

function parse(value: unknown, contentType = '') {
  const bytes = typeof value === 'string' ? Buffer.from(value) : content('', value).bytes
  return parseManifest(bytes, contentType, SUBJECT)
}

function parseChildren(manifests: readonly object[]) {
  return (parse({ schemaVersion: 2, manifests }, OCI_INDEX) as ImageIndex).children
}

for (const docker of [false, true]) {
  const flavour = docker ? 'Docker' : 'OCI'

  test(`the image ID of an ${flavour} manifest is the digest of its config`, () => {
    const image = buildImage({ docker })

    const manifest = parseManifest(image.bytes, `${image.mediaType}; charset=utf-8`, SUBJECT)

    const { mediaType, imageId } = image
    assert.deepEqual(manifest, { kind: 'image', mediaType, configDigest: imageId })
  })

  test(`an ${flavour} index lists its children with their platforms`, () => {
    const platform = { os: 'linux', architecture: 'arm', variant: 'v7' }
    const [one, two] = [buildImage({ docker }), buildImage({ docker, platform, seed: 'arm' })]
    const index = buildIndex([one, two], { docker })

    const manifest = parseManifest(index.bytes, index.mediaType, SUBJECT)

    assert.deepEqual(manifest, {
      kind: 'index',
      mediaType: docker ? DOCKER_LIST : OCI_INDEX,
      children: [
        { digest: one.digest, platform: { os: 'linux', architecture: 'amd64' } },
        { digest: two.digest, platform },
      ],
    })
  })
}

const config = (mediaType: string) => ({ mediaType, digest: DIGEST, size: 2 })

const SHAPES: readonly [name: string, body: object, mediaType: string][] = [
  ['config and layers', { config: config(OCI_CONFIG), layers: [] }, OCI_MANIFEST],
  ["Docker's config type", { config: config(DOCKER_CONFIG), layers: [] }, DOCKER_MANIFEST],
  ['manifests', { manifests: [] }, OCI_INDEX],
  [
    'Docker manifests',
    { manifests: [{ mediaType: DOCKER_MANIFEST, digest: DIGEST }] },
    DOCKER_LIST,
  ],
]

for (const [name, body, mediaType] of SHAPES) {
  test(`a body that does not say its type is known by its shape: ${name}`, () => {
    for (const contentType of ['', 'application/json', 'text/plain; charset=utf-8']) {
      assert.equal(parse({ schemaVersion: 2, ...body }, contentType).mediaType, mediaType)
    }
  })
}

const REFUSED: readonly [name: string, value: unknown, type: string, code: string, text: RegExp][] =
  [
    ['HTML', '<html>', 'text/html', 'MANIFEST_INVALID', /"text\/html"/],
    ['an empty body', '', OCI_MANIFEST, 'MANIFEST_INVALID', /no JSON object/],
    ['a JSON array', '[]', OCI_MANIFEST, 'MANIFEST_INVALID', /no JSON object/],
    ['endless nesting', '['.repeat(3_000_000), OCI_MANIFEST, 'MANIFEST_INVALID', /no JSON object/],
    ['JSON of another kind', { a: 1 }, 'application/json', 'MANIFEST_INVALID', /neither/],
    [
      'a manifest that calls itself something else',
      { mediaType: OCI_INDEX, config: config(OCI_CONFIG) },
      OCI_MANIFEST,
      'MANIFEST_INVALID',
      /calls itself/,
    ],
    [
      'an index that is a manifest too',
      { manifests: [], config: config(OCI_CONFIG), layers: [] },
      OCI_INDEX,
      'MANIFEST_INVALID',
      /at once/,
    ],
    [
      'a manifest without config',
      { layers: [] },
      OCI_MANIFEST,
      'MANIFEST_INVALID',
      /config digest/,
    ],
    [
      'a manifest whose config has no proper digest',
      { config: { mediaType: OCI_CONFIG, digest: 'sha256:12' } },
      OCI_MANIFEST,
      'MANIFEST_INVALID',
      /config digest/,
    ],
    ['an index without manifests', {}, OCI_INDEX, 'MANIFEST_INVALID', /without `manifests`/],
    [
      'an index with a child that has no digest',
      { manifests: [{ mediaType: OCI_MANIFEST }] },
      OCI_INDEX,
      'MANIFEST_INVALID',
      /no digest/,
    ],
    [
      'an index with too many children',
      { manifests: Array.from({ length: 1_001 }, () => ({ digest: DIGEST })) },
      OCI_INDEX,
      'MANIFEST_INVALID',
      /1001/,
    ],
    [
      'schema 1 by its type',
      { schemaVersion: 1 },
      'application/vnd.docker.distribution.manifest.v1+prettyjws',
      'UNSUPPORTED',
      /schema 1/,
    ],
    [
      'schema 1 by its version',
      { schemaVersion: 1, fsLayers: [] },
      'application/json',
      'UNSUPPORTED',
      /schema 1/,
    ],
    [
      'an artifact, by its artifactType',
      {
        artifactType: 'application/vnd.cncf.notary.signature',
        config: config('application/vnd.oci.empty.v1+json'),
      },
      OCI_MANIFEST,
      'NOT_AN_IMAGE',
      /artifact: "application\/vnd\.cncf\.notary\.signature"/,
    ],
    [
      'an artifact, by its config',
      { config: config('application/vnd.cncf.helm.config.v1+json') },
      OCI_MANIFEST,
      'NOT_AN_IMAGE',
      /helm/,
    ],
    [
      'a document of another type',
      {},
      'application/vnd.oci.artifact.manifest.v1+json',
      'NOT_AN_IMAGE',
      /artifact\.manifest/,
    ],
  ]

for (const [name, value, type, code, text] of REFUSED) {
  test(`${name} is refused with ${code}`, () => {
    assert.throws(() => parse(value, type), { code, step: 'manifest', message: text })
  })
}

const FOUND: readonly [name: string, value: object, type: string, found: object][] = [
  [
    'an artifact',
    {
      artifactType: 'application/vnd.example.model',
      config: config('application/vnd.oci.empty.v1+json'),
    },
    OCI_MANIFEST,
    { mediaType: OCI_MANIFEST, artifactType: 'application/vnd.example.model' },
  ],
  [
    'an old push with a config of no type',
    { config: config('application/octet-stream'), layers: [] },
    DOCKER_MANIFEST,
    { mediaType: DOCKER_MANIFEST, artifactType: 'application/octet-stream' },
  ],
  [
    'a document of another type',
    { artifactType: 'application/vnd.example.sbom' },
    'application/vnd.oci.artifact.manifest.v1+json',
    {
      mediaType: 'application/vnd.oci.artifact.manifest.v1+json',
      artifactType: 'application/vnd.example.sbom',
    },
  ],
  [
    'a schema 1 manifest without a type',
    { schemaVersion: 1, fsLayers: [] },
    'application/json',
    { mediaType: 'application/vnd.docker.distribution.manifest.v1+json' },
  ],
]

for (const [name, value, type, found] of FOUND) {
  test(`what is known of ${name} comes with the refusal`, () => {
    assert.throws(() => parse(value, type), { found: { digest: DIGEST, size: 2, ...found } })
  })
}

test('a manifest of OCI under the type of Docker is one image, and the other way round', () => {
  const body = (own: string, type: string) => ({ mediaType: own, config: config(type) })

  const [oci, docker] = [
    parse(body(OCI_MANIFEST, OCI_CONFIG), DOCKER_MANIFEST),
    parse(body(DOCKER_MANIFEST, DOCKER_CONFIG), OCI_MANIFEST),
  ]
  const index = parse({ mediaType: OCI_INDEX, manifests: [] }, DOCKER_LIST)

  assert.deepEqual(oci, { kind: 'image', mediaType: OCI_MANIFEST, configDigest: DIGEST })
  assert.deepEqual(docker, { kind: 'image', mediaType: DOCKER_MANIFEST, configDigest: DIGEST })
  assert.deepEqual(index, { kind: 'index', mediaType: OCI_INDEX, children: [] })
})

test('the payload of a signed schema 1 manifest is what was there before it was signed', () => {
  const payload = '{\n   "schemaVersion": 1,\n   "name": "app"\n}'
  const cut = payload.length - 2
  const told = { formatLength: cut, formatTail: Buffer.from('\n}').toString('base64url') }
  const entry = { protected: Buffer.from(JSON.stringify(told)).toString('base64url') }
  const signed = `${payload.slice(0, cut)},"signatures":[${JSON.stringify(entry)}]\n}`
  const type = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

  assert.equal(signedPayload(Buffer.from(signed), type)?.toString(), payload)
  assert.equal(signedPayload(Buffer.from(signed), OCI_MANIFEST), undefined)
  for (const broken of ['{', '{}', '{"signatures":[]}', '{"signatures":[{"protected":"e30"}]}']) {
    assert.equal(signedPayload(Buffer.from(broken), type), undefined, broken)
  }
})

test('what a body says about itself reaches a message in part only', () => {
  const mediaType = 'x'.repeat(1_000_000)

  assert.throws(
    () => parse({ mediaType }),
    (error) => error instanceof Error && error.message.length < 400,
  )
})

test('attestations, artifacts and unknown platforms are left out of an index', () => {
  const child = descriptor(IMAGE)
  const left = parseChildren([
    { ...child, annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } },
    { ...child, platform: { os: 'unknown', architecture: 'unknown' } },
    { ...child, artifactType: 'application/vnd.example.sbom' },
    { ...child, mediaType: 'application/vnd.oci.artifact.manifest.v1+json' },
    { ...child, platform: 'linux/amd64' },
    { ...child, artifactType: OCI_CONFIG, platform: { os: 'linux', architecture: 'amd64' } },
  ])

  assert.deepEqual(left, [
    { digest: DIGEST },
    { digest: DIGEST, platform: { os: 'linux', architecture: 'amd64' } },
  ])
})

test('a child that the index carries within itself comes along', () => {
  const [child] = parseChildren([{ ...descriptor(IMAGE), data: IMAGE.bytes.toString('base64') }])

  assert.deepEqual(child?.data, IMAGE.bytes)
})
