import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printConfig } from '../../../src/config/print.ts'
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
http: {listen: "[::1]:0"}
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
cache:
  imageCacheSize: 0
  imageCacheTTL: 1s500ms
  domainCacheTTL: 10m
  statsLogInterval: 1m
  disableStats: false
  tagTTL: 1m
registries:
  - address: https://docker.io
    priority: 500
  - address: http://[::1]:5000
    auth: '***:***'
    priority: 0
    upstreams:
      - quay.io
      - docker.io
http:
  listen: '[::1]:0'
onResolveError: reject
`,
  )
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

    const hidden = { kind: 'basic', username: '***', password: '***' }
    const registries = config.registries.map((entry) =>
      entry.credentials === undefined ? entry : { ...entry, credentials: hidden },
    )
    // Printed in full, it names every field.
    assert.deepEqual(again.config, { ...config, registries, criExpected: true })
    assert.deepEqual(again.warnings, [])
  })
}
