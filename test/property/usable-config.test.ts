import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dump } from 'js-yaml'
import { printConfig } from '../../src/config/print.ts'
import { loadText } from '../support/config.ts'

const somePath = fc.stringMatching(/^\/[a-z]{1,8}$/)
const someSecret = fc.stringMatching(/^[!-9;-~]{1,12}$/)
const someUpstream = fc.constantFrom('docker.io', 'quay.io', 'Gcr.io', '*.corp', 'quay.io/team')
const somePort = fc.integer({ min: 1, max: 65_535 })

/** One way of credentials, or none. */
const credentialFields = fc.oneof(
  fc.constant({}),
  fc.record({ auth: fc.tuple(someSecret, someSecret).map((parts) => parts.join(':')) }),
  fc.record({ username: someSecret, password: someSecret }),
  fc.record({ username: someSecret, passwordFile: somePath }),
  fc.record({ identityToken: someSecret }),
  fc.record({ tokenFile: somePath }),
)

const tlsFields = fc.oneof(
  fc.constant({}),
  fc.record({ ca: somePath, insecureSkipVerify: fc.boolean() }),
  fc.record({ cert: somePath, key: somePath }),
)

const registryFields = fc
  .tuple(
    fc.record(
      {
        address: fc.constantFrom(
          'a.b',
          'c.d:5000',
          'http://e.f/g',
          'docker.io',
          '[::1]:5000',
          'hub',
        ),
        priority: fc.integer({ min: -10, max: 10_010 }),
        upstreams: fc.array(someUpstream, { minLength: 1, maxLength: 4 }),
        path: fc.constantFrom('{path}', '{domain}/{path}', 'mirror/{path}'),
        capabilities: fc.array(fc.constantFrom('resolve', 'pull'), { minLength: 1, maxLength: 3 }),
        trusted: fc.boolean(),
      },
      { requiredKeys: ['address'] },
    ),
    credentialFields,
    tlsFields,
  )
  .map(([fields, credentials, tls]) => ({ ...fields, ...credentials, ...tls }))

const proxyUrl = fc
  .tuple(fc.constantFrom('', 'http://', 'https://'), fc.boolean(), somePort)
  .map(([scheme, login, port]) => `${scheme}${login ? 'u:p@' : ''}proxy.corp:${port}`)

const httpFields = fc
  .tuple(
    fc.constantFrom({ token: 's3cret' }, { tokenFile: '/token' }),
    fc.record(
      {
        listen: fc.constantFrom('127.0.0.1:0', '0.0.0.0:1', '[::]:2', 'unix:///run/x.sock'),
        rateLimit: fc.nat({ max: 1_000_000 }),
        events: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  )
  .map(([token, fields]) => ({ ...fields, ...token, tls: { cert: '/cert', key: '/key' } }))

const usableFile = fc.record(
  {
    address: fc.constantFrom('sealos.hub:5000', 'http://hub/x'),
    auth: fc.constantFrom('a:b', ':'),
    offlinePriority: fc.integer({ min: -10, max: 10_010 }),
    force: fc.boolean(),
    timeout: fc.constantFrom('0', '1.5h', '1h30m'),
    cache: fc.record(
      {
        imageCacheSize: fc.integer({ min: -5, max: 1000 }),
        tagTTL: fc.constant('1.5s'),
        negativeTTL: fc.constantFrom('0', '3s'),
        staleIfError: fc.constantFrom('0', '90m'),
        shared: fc.record(
          {
            url: fc.constantFrom(
              'unix:///run/x.sock',
              'rediss+sentinel://a,b:1/m/2',
              'redis://localhost',
            ),
            key: fc.constant('file:/fleet.key'),
            freshness: fc.constantFrom('0', '3s'),
            passwordFile: somePath,
            tls: fc.record({ ca: somePath }, { requiredKeys: [] }),
          },
          { requiredKeys: ['url', 'key'] },
        ),
      },
      { requiredKeys: [] },
    ),
    registries: fc.array(registryFields, { maxLength: 5 }),
    mirrorsOnly: fc.array(someUpstream, { maxLength: 3 }),
    realms: fc.array(
      somePort.map((port) => `auth.corp:${port}`),
      { maxLength: 3 },
    ),
    hostsDir: somePath,
    portoshim: somePath,
    verifyDigest: fc.boolean(),
    keychain: fc.record(
      {
        dockerConfigs: fc.array(somePath, { maxLength: 3 }),
        pullSecrets: fc.array(somePath, { maxLength: 3 }),
        credentialProviders: fc.record({ config: somePath, binDir: somePath }),
        helperTimeout: fc.constantFrom('0', '5s'),
      },
      { requiredKeys: [] },
    ),
    proxy: fc.record({ http: proxyUrl, https: proxyUrl, no: someSecret }, { requiredKeys: [] }),
    http: httpFields,
    mirror: fc.record({ enabled: fc.boolean() }),
    pull: fc.record({ byDigest: fc.boolean(), skipUnchanged: fc.boolean() }),
  },
  { requiredKeys: [] },
)

test('what is printed of any file that loads, loads again and prints the same', () => {
  fc.assert(
    fc.property(usableFile, (value) => {
      const printed = printConfig(loadText(dump(value)).config)

      const again = loadText(printed)

      assert.deepEqual(again.warnings, [])
      assert.equal(printConfig(again.config), printed)
    }),
    { numRuns: 500 },
  )
})

test('registries of any file have names of their own, in the order of asking', () => {
  fc.assert(
    fc.property(fc.array(registryFields, { maxLength: 8 }), (registries) => {
      const entries = loadText(dump({ address: 'a.b', registries })).config.registries
      const priorities = entries.map(({ priority }) => priority)

      assert.equal(new Set(entries.map(({ name }) => name)).size, entries.length)
      assert.deepEqual(
        priorities,
        [...priorities].sort((a, b) => b - a),
      )
    }),
  )
})

test('no secret of any file is printed', () => {
  const secret = 'hunter2'
  const withSecret = fc.oneof(
    fc.constant({ auth: `u:${secret}` }),
    fc.constant({ auth: `${secret}:p` }),
    fc.constant({ username: 'u', password: secret }),
    fc.constant({ username: secret, passwordFile: '/p' }),
    fc.constant({ identityToken: secret }),
  )
  fc.assert(
    fc.property(usableFile, fc.array(withSecret, { maxLength: 4 }), (value, credentials) => {
      const registries = credentials.map((each, index) => ({ address: `r${index}.corp`, ...each }))
      const proxy = { http: `http://${secret}:${secret}@a:1` }

      const { config } = loadText(dump({ ...value, registries, proxy, http: { token: secret } }))

      assert.doesNotMatch(printConfig(config), /hunter2/)
    }),
  )
})
