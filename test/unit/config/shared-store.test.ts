import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printConfig } from '../../../src/config/print.ts'
import { loadText, problemsIn } from '../../support/config.ts'

const KEY = 'key: file:/etc/fleet.key'

const ADDRESSES: readonly (readonly [string, object])[] = [
  [
    'redis://127.0.0.1',
    { kind: 'single', isTls: false, hosts: [{ host: '127.0.0.1', port: 6379 }], db: 0 },
  ],
  [
    'rediss://valkey.kube-system:6380/3',
    { kind: 'single', isTls: true, hosts: [{ host: 'valkey.kube-system', port: 6380 }], db: 3 },
  ],
  [
    'rediss://[fd00::7]:6380',
    { kind: 'single', isTls: true, hosts: [{ host: 'fd00::7', port: 6380 }], db: 0 },
  ],
  [
    'unix:///run/valkey.sock',
    { kind: 'single', isTls: false, hosts: [{ path: '/run/valkey.sock' }], db: 0 },
  ],
  [
    'rediss+sentinel://a.corp,b.corp:26380/mymaster/2',
    {
      kind: 'sentinel',
      isTls: true,
      hosts: [
        { host: 'a.corp', port: 26379 },
        { host: 'b.corp', port: 26380 },
      ],
      db: 2,
      master: 'mymaster',
    },
  ],
  [
    'rediss+cluster://a.corp,b.corp:7001',
    {
      kind: 'cluster',
      isTls: true,
      hosts: [
        { host: 'a.corp', port: 6379 },
        { host: 'b.corp', port: 7001 },
      ],
      db: 0,
    },
  ],
]

for (const [url, address] of ADDRESSES) {
  test(`the store at ${url} is understood, and printed as it is written`, () => {
    const { config, warnings } = loadText(`cache: {shared: {url: "${url}", ${KEY}}}\n`)

    assert.deepEqual(warnings, [])
    assert.deepEqual(config.cache.shared?.address, address)
    assert.deepEqual(loadText(printConfig(config)).config.cache, config.cache)
  })
}

test('a store has a freshness of 5 s and a budget of 50 ms, and there is none by default', () => {
  const { config } = loadText('cache: {shared: {url: "unix:///run/valkey.sock", budget: 0}}\n')

  assert.equal(config.cache.shared?.freshnessMs, 5_000)
  assert.equal(config.cache.shared?.budgetMs, 50)
  assert.equal(loadText('').config.cache.shared, undefined)
})

for (const url of ['unix:///run/valkey.sock', 'redis://localhost', 'redis://[::1]:6379']) {
  test(`${url} needs no key: no other machine can reach it`, () => {
    const { config } = loadText(`cache: {shared: {url: "${url}"}}\n`)

    assert.equal(config.cache.shared?.key, undefined)
  })
}

for (const url of ['rediss://valkey:6379', 'redis+sentinel://127.0.0.1,10.0.0.1/m']) {
  test(`${url} is refused without a key, with the words to mend it`, () => {
    const [problem] = problemsIn(`cache:\n  shared:\n    url: ${url}\n`)

    assert.equal(problem?.path, 'cache.shared.key')
    assert.equal(problem.line, 3)
    assert.match(problem.message, /set cache\.shared\.key to file:\/path of a secret/)
  })
}

test('what crosses the network in the clear is a warning', () => {
  const warningsOf = (fields: string): readonly string[] =>
    loadText(`cache: {shared: {url: "redis://valkey:6379", ${KEY}${fields}}}\n`).warnings

  assert.deepEqual(warningsOf(''), [
    'cache.shared.url (line 1): what is asked for crosses the network in the clear: write rediss://',
  ])
  assert.deepEqual(warningsOf(', passwordFile: /p'), [
    'cache.shared.url (line 1): the password crosses the network in the clear: write rediss://',
  ])
})

const LOCAL = 'url: "unix:///run/x.sock"'
const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ['freshness: 5s', 'cache.shared.url', /^required, and not there$/],
  ['url: valkey:6379', 'cache.shared.url', /^not the address of a store; write redis:/],
  ['url: "http://valkey"', 'cache.shared.url', /^not the address of a store/],
  ['url: "redis://"', 'cache.shared.url', /^a host of the store is not host:port/],
  ['url: "redis://a:70000"', 'cache.shared.url', /^a host of the store is not host:port/],
  ['url: "redis://a:0"', 'cache.shared.url', /^a host of the store is not host:port/],
  ['url: "redis://[nonsense]:1"', 'cache.shared.url', /^a host of the store is not host:port/],
  ['url: "redis://a,b"', 'cache.shared.url', /^several hosts are sentinels or a cluster/],
  ['url: "redis://a/x"', 'cache.shared.url', /^the database of a store is a number/],
  ['url: "redis://a/0/1"', 'cache.shared.url', /^after the port comes nothing but/],
  ['url: "redis+sentinel://a"', 'cache.shared.url', /^after the sentinels comes the name/],
  ['url: "redis+sentinel://a/m/0/1"', 'cache.shared.url', /^after the sentinels comes the name/],
  ['url: "redis+cluster://a/1"', 'cache.shared.url', /^a cluster has no databases/],
  ['url: "redis://:hunter2@a"', 'cache.shared.url', /^a password does not stand in the address/],
  [`${LOCAL}, key: hunter2`, 'cache.shared.key', /^write file:\/path of the file that holds it/],
  [`${LOCAL}, key: "file:./x"`, 'cache.shared.key', /is not an absolute path/],
  [`${LOCAL}, budget: 2s`, 'cache.shared.budget', /is outside 1ms to 1s/],
  [`${LOCAL}, username: hunter2`, 'cache.shared.username', /^needs passwordFile beside it$/],
  [`${LOCAL}, tls: {cert: /c}`, 'cache.shared.tls.cert', /^needs key beside it$/],
  [`${LOCAL}, tls: {key: /k}`, 'cache.shared.tls.key', /^needs cert beside it$/],
  [
    `${LOCAL}, password: hunter2`,
    'cache.shared.password',
    /^unknown field; the fields here are url/,
  ],
]

for (const [fields, path, message] of MISTAKES) {
  test(`cache.shared with ${fields} is refused without repeating what may be secret`, () => {
    const [problem] = problemsIn(`cache: {shared: {${fields}}}\n`)

    assert.equal(problem?.path, path)
    assert.match(problem.message, message)
    assert.doesNotMatch(problem.message, /hunter2/)
  })
}

test('what a store has no use for is a warning', () => {
  const { warnings } = loadText(
    `cache: {shared: {${LOCAL}, sentinelPasswordFile: /p, tls: {ca: /ca.pem}}}\n`,
  )

  assert.deepEqual(warnings, [
    'cache.shared.tls (line 1): not used: url is not rediss://',
    'cache.shared.sentinelPasswordFile (line 1): not used: url names no sentinels',
  ])
})

test('addresses that sentinels may name are hosts, IP addresses and networks, and need a key where they are elsewhere', () => {
  const url = 'url: "redis+sentinel://127.0.0.1/fleet"'
  const listed = (addresses: string, more = '') =>
    `cache: {shared: {${url}, addresses: [${addresses}]${more}}}\n`
  const { config } = loadText(listed('10.0.0.0/8, "fd00::/8", valkey-0.valkey', `, ${KEY}`))

  assert.deepEqual(config.cache.shared?.addresses, ['10.0.0.0/8', 'fd00::/8', 'valkey-0.valkey'])
  assert.equal(config.cache.shared.isPlainOnNetwork, true)
  assert.deepEqual(loadText(printConfig(config)).config.cache, config.cache)
  assert.equal(loadText(listed('127.0.0.1')).config.cache.shared?.isPlainOnNetwork, false)
  assert.equal(problemsIn(listed('10.0.0.0/8'))[0]?.path, 'cache.shared.key')
  for (const wrong of ['10.0.0.0/33', 'a.corp/8', '"a b"', '"fd00::/129"']) {
    assert.match(problemsIn(listed(wrong, `, ${KEY}`))[0]?.message ?? '', /no host, no IP address/)
  }
  for (const [address, why] of [
    ['rediss+sentinel://a/fleet', 'certificates tell'],
    ['redis://a', 'url names no sentinels and no cluster'],
  ]) {
    const text = `cache: {shared: {url: "${address}", ${KEY}, addresses: [10.0.0.1]}}\n`
    assert.ok(loadText(text).warnings.includes(`cache.shared.addresses (line 1): not used: ${why}`))
  }
})

test('a user is not printed, and files of a store are', () => {
  const { config } = loadText(
    `cache: {shared: {url: "rediss://a", ${KEY}, username: hunter2, passwordFile: /p, tls: {ca: /ca}}}\n`,
  )

  const printed = printConfig(config)

  assert.doesNotMatch(printed, /hunter2/)
  assert.match(printed, /key: file:\/etc\/fleet\.key\n/)
  assert.match(printed, /passwordFile: \/p\n {4}tls:\n {6}ca: \/ca\n/)
})
