import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { printConfig } from '../../../src/config/print.ts'
import type { RegistryEntry } from '../../../src/registry/entry.ts'
import { loadText } from '../../support/config.ts'

const FULL = `
shim: unix:///run/a.sock
cri: /run/b.sock
address: https://hub.corp/mirror
auth: admin:pw
offlinePriority: -1
version: v1
timeout: 1h30m
cache: {imageCacheSize: 0, imageCacheTTL: 1500ms}
registries:
  - {address: docker.io}
  - {address: "[::1]:5000", auth: "u:p", priority: 0, upstreams: [quay.io, docker.io]}
  - address: a.b
    username: user
    passwordFile: /etc/password
    path: "{domain}/{path}"
    capabilities: [pull]
    trusted: false
    ca: /etc/ca.pem
    cert: /etc/cert.pem
    key: /etc/key.pem
    insecureSkipVerify: true
  - {address: c.d, identityToken: s3cret, upstreams: ["*.d"]}
  - {address: e.f, tokenFile: /etc/token}
resolvers: ["https://resolver.corp"]
mirrorsOnly: [quay.io/team]
realms: [auth.corp]
verifyDigest: true
keychain:
  dockerConfigs: [/etc/docker.json]
  credentialProviders: {config: /etc/providers.yaml, binDir: /opt/providers}
proxy: {https: "http://user:s3cret@proxy.corp:3128", no: .corp}
http:
  listen: "[::]:0"
  token: s3cret
  tls: {cert: /etc/http.pem, key: /etc/http.key}
  rateLimit: 60
  events: true
mirror: {enabled: true}
pull: {byDigest: false, skipUnchanged: false, freshness: 9s}
check: {interval: 6h}
admission: {enabled: true, budget: 2s, onFailure: reject}
onResolveError: reject
`

test('everything is printed, in the order of the reference, with its secrets hidden', () => {
  const printed = printConfig(loadText(FULL).config)

  assert.equal(
    printed,
    `shim: /run/a.sock
cri: /run/b.sock
address: https://hub.corp/mirror
auth: '***:***'
offlinePriority: 1
force: false
debug: false
image: /var/lib/image-resolver
version: v1
timeout: 1h30m
reloadInterval: 15s
probeBudget: 2s
hedgeDelay: 300ms
cache:
  imageCacheSize: 0
  imageCacheTTL: 1s500ms
  domainCacheTTL: 10m
  statsLogInterval: 1m
  disableStats: false
  tagTTL: 1m
  negativeTTL: 10s
  staleIfError: 24h
registries:
  - address: https://a.b
    username: '***'
    passwordFile: /etc/password
    priority: 500
    path: '{domain}/{path}'
    capabilities:
      - pull
    trusted: false
    ca: /etc/ca.pem
    cert: /etc/cert.pem
    key: /etc/key.pem
    insecureSkipVerify: true
  - address: https://c.d
    identityToken: '***'
    priority: 500
    upstreams:
      - '*.d'
  - address: https://docker.io
    priority: 500
  - address: https://e.f
    tokenFile: /etc/token
    priority: 500
  - address: http://[::1]:5000
    auth: '***:***'
    priority: 0
    upstreams:
      - quay.io
      - docker.io
resolvers:
  - url: https://resolver.corp
mirrorsOnly:
  - quay.io/team
realms:
  - auth.corp
verifyDigest: true
keychain:
  dockerConfigs:
    - /etc/docker.json
  pullSecrets: []
  credentialProviders:
    config: /etc/providers.yaml
    binDir: /opt/providers
  helperTimeout: 10s
proxy:
  https: http://***:***@proxy.corp:3128
  'no': .corp
http:
  listen: '[::]:0'
  token: '***'
  tls:
    cert: /etc/http.pem
    key: /etc/http.key
  rateLimit: 60
  events: true
mirror:
  enabled: true
  blobs: 96
  blobsPerClient: 24
pull:
  byDigest: false
  skipUnchanged: false
  freshness: 9s
check:
  interval: 6h
admission:
  enabled: true
  budget: 2s
  onFailure: reject
onResolveError: reject
`,
  )
})

test('no secret and no user of a full file is printed', () => {
  const printed = printConfig(loadText(FULL).config)

  assert.doesNotMatch(printed, /s3cret|user:|admin|: u$/m)
})

for (const [name, text] of [
  ['a full file', FULL],
  ['an empty file', ''],
  [
    'a file that turns things off',
    'reloadInterval: 0\ncache: {tagTTL: 0}\nregistries: [{address: "hub"}]\n',
  ],
] as const) {
  test(`what is printed of ${name} loads again to the same, but for the secrets`, () => {
    const { config } = loadText(text)

    const again = loadText(printConfig(config))

    // Printed in full, it names every field.
    assert.deepEqual(again.config, { ...withHiddenSecrets(config), criExpected: true })
    assert.deepEqual(again.warnings, [])
  })
}

function withHiddenSecrets(config: Config): Config {
  const { http, proxy } = config
  return {
    ...config,
    registries: config.registries.map(hidden),
    proxy: { ...proxy, https: proxy.https?.replace('user:s3cret@', '***:***@') },
    http: { ...http, token: http.token === undefined ? undefined : '***' },
  }
}

function hidden(entry: RegistryEntry): RegistryEntry {
  const { credentials, credentialFiles: files } = entry
  return {
    ...entry,
    ...(credentials?.kind === 'basic' && {
      credentials: { kind: 'basic', username: '***', password: '***' },
    }),
    ...(credentials?.kind === 'identityToken' && {
      credentials: { kind: 'identityToken', token: '***' },
    }),
    ...(files?.username !== undefined && { credentialFiles: { ...files, username: '***' } }),
  }
}
