import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printConfig } from '../../../src/config/print.ts'
import { loadText } from '../../support/config.ts'

// Each of these is a file that image-cri-shim reads wrongly, or crashes on.

const ADDRESSES: readonly (readonly [string, string, string, string])[] = [
  ['sealos.hub:5000', 'https', 'sealos.hub:5000', ''],
  ['192.168.1.1:5000', 'https', '192.168.1.1:5000', ''],
  ['"[::1]:5000"', 'http', '[::1]:5000', ''],
  ['127.0.0.1:5000', 'http', '127.0.0.1:5000', ''],
  ['localhost:5000', 'http', 'localhost:5000', ''],
  ['http://host:5000', 'http', 'host:5000', ''],
  ['https://harbor.corp/proxy-docker', 'https', 'harbor.corp', 'proxy-docker'],
]

for (const [written, scheme, host, prefix] of ADDRESSES) {
  test(`the offline address ${written} is read with its host, port and path`, () => {
    const { config } = loadText(`address: ${written}\n`)

    assert.deepEqual(
      config.registries.map(({ endpoint, offline }) => ({ ...endpoint, offline })),
      [{ scheme, host, prefix, offline: true }],
    )
  })
}

test('an address that cannot be is a mistake with its line, not a crash', () => {
  assert.throws(
    () => loadText('debug: true\naddress: "http://[::1:5000"\n'),
    /x\.yaml:2: address: /,
  )
})

test('a password keeps the colons that it holds', () => {
  const { config } = loadText(
    'address: hub.corp\nauth: user:pa:ss\nregistries:\n- {address: a.b, auth: "u:p:w "}\n',
  )

  assert.deepEqual(
    config.registries.map(({ credentials }) => credentials),
    [
      { kind: 'basic', username: 'user', password: 'pa:ss' },
      { kind: 'basic', username: 'u', password: 'p:w ' },
    ],
  )
})

test('a written priority of 0 is 0, a missing one is 500', () => {
  const { config, warnings } = loadText(
    'registries: [{address: a.b, priority: 0}, {address: c.d}]\n',
  )

  assert.deepEqual(
    config.registries.map(({ name, priority }) => [name, priority]),
    [
      ['c.d', 500],
      ['a.b', 0],
    ],
  )
  assert.deepEqual(warnings, [])
})

test('a negative priority is 0 and stays 0, with a warning', () => {
  const { config, warnings } = loadText('registries:\n- address: a.b\n  priority: -5\n')

  assert.equal(config.registries[0]?.priority, 0)
  assert.deepEqual(warnings, [
    'registries[0].priority (line 3): -5 is outside 0 to 10000; 0 is used',
  ])
})

test('the priority of the offline registry counts', () => {
  const { config } = loadText(
    'address: hub.corp\nofflinePriority: 400\nregistries: [{address: a.b}]\n',
  )

  assert.deepEqual(
    config.registries.map(({ name }) => name),
    ['a.b', 'hub.corp'],
  )
})

test('two projects on one host are two registries with credentials of their own', () => {
  const { config, warnings } = loadText(`
registries:
  - {address: https://harbor.corp/proxy-docker, auth: d:1, upstreams: [docker.io]}
  - {address: https://harbor.corp/proxy-quay, auth: q:2, upstreams: [quay.io]}
`)

  assert.deepEqual(
    config.registries.map(({ name, credentials, upstreams }) => ({ name, credentials, upstreams })),
    [
      {
        name: 'harbor.corp/proxy-docker',
        credentials: { kind: 'basic', username: 'd', password: '1' },
        upstreams: ['docker.io'],
      },
      {
        name: 'harbor.corp/proxy-quay',
        credentials: { kind: 'basic', username: 'q', password: '2' },
        upstreams: ['quay.io'],
      },
    ],
  )
  assert.deepEqual(warnings, [])
})

test('the timeout of the file is the limit of image operations', () => {
  assert.equal(loadText('timeout: 20m\n').config.timeoutMs, 1_200_000)
})

test('an empty list of registries and a missing one are no mistake', () => {
  assert.deepEqual(loadText('registries: []\n').config.registries, [])
  assert.deepEqual(loadText('registries:\n').config.registries, [])
})

test('credentials that a template left empty are none', () => {
  const { config } = loadText(
    'address: hub.corp\nauth: ":"\nregistries: [{address: a.b, auth: ""}]\n',
  )

  assert.deepEqual(
    config.registries.map((entry) => 'credentials' in entry),
    [false, false],
  )
})

test('no password is printed', () => {
  const { config } = loadText(
    'address: hub.corp\nauth: admin:passw0rd\nregistries: [{address: a.b, auth: "tok3n:x"}]\n',
  )

  const printed = printConfig(config)

  assert.equal(printed.match(/\*\*\*/g)?.length, 4)
  assert.doesNotMatch(printed, /passw0rd|tok3n|admin/)
})
