import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dump } from 'js-yaml'
import { nearestName } from '../../src/config/diagnostics.ts'
import { formatDuration, parseDuration } from '../../src/config/values.ts'
import { ResolveError } from '../../src/errors.ts'
import { problemsIn } from '../support/config.ts'

const UNITS = { h: 3_600_000, m: 60_000, s: 1000, ms: 1, us: 1e-3, ns: 1e-6 } as const

test('a printed duration reads back as the same milliseconds', () => {
  fc.assert(
    fc.property(fc.nat({ max: 2 ** 31 - 1 }), (ms) => {
      assert.equal(parseDuration(formatDuration(ms)), ms)
    }),
  )
})

test('a duration is the sum of its terms, in any order', () => {
  const term = fc.record({
    count: fc.nat({ max: 9999 }),
    thousandths: fc.nat({ max: 999 }),
    unit: fc.constantFrom('h', 'm', 's', 'ms', 'us'),
  })
  fc.assert(
    fc.property(fc.array(term, { minLength: 1, maxLength: 4 }), (terms) => {
      const text = terms.map(
        ({ count, thousandths, unit }) => `${count}.${String(thousandths).padStart(3, '0')}${unit}`,
      )
      const sum = terms.reduce(
        (total, { count, thousandths, unit }) => total + (count + thousandths / 1000) * UNITS[unit],
        0,
      )

      const ms = parseDuration(text.join(''))

      assert.ok(Math.abs(ms - sum) <= 1e-6 * Math.max(1, sum))
    }),
  )
})

test('any text is a duration of 0 or more, or refused as CONFIG_INVALID', () => {
  const nearly = fc.stringMatching(/^[-+.0-9hmsun]{0,12}$/)
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string()), (text) => {
      try {
        assert.ok(parseDuration(text) >= 0)
      } catch (thrown) {
        assert.ok(thrown instanceof ResolveError && thrown.code === 'CONFIG_INVALID', text)
      }
    }),
  )
})

test('a known name is suggested for itself and for one letter less', () => {
  const known = ['address', 'priority', 'upstreams', 'imageCacheTTL']
  fc.assert(
    fc.property(fc.constantFrom(...known), fc.nat(), (name, random) => {
      const cut = random % name.length

      assert.equal(nearestName(name, known), name)
      assert.equal(nearestName(name.slice(0, cut) + name.slice(cut + 1), known), name)
    }),
  )
})

const FIELDS = [
  'shim',
  'cri',
  'address',
  'auth',
  'offlinePriority',
  'force',
  'debug',
  'image',
  'version',
  'timeout',
  'reloadInterval',
  'probeBudget',
  'hedgeDelay',
  'cache',
  'registries',
  'http',
  'onResolveError',
  'imageCacheSize',
  'tagTTL',
  'priority',
  'upstreams',
  'listen',
  'username',
  'password',
  'passwordFile',
  'tokenFile',
  'identityToken',
  'path',
  'capabilities',
  'trusted',
  'ca',
  'cert',
  'key',
  'insecureSkipVerify',
  'plainHttp',
  'mirrorsOnly',
  'realms',
  'hostsDir',
  'portoshim',
  'verifyDigest',
  'keychain',
  'dockerConfigs',
  'credentialProviders',
  'config',
  'binDir',
  'helperTimeout',
  'proxy',
  'no',
  'token',
  'tls',
  'rateLimit',
  'events',
  'mirror',
  'enabled',
  'pull',
  'byDigest',
  'skipUnchanged',
]

/** Values that are often wrong in an interesting way, under names that are often right. */
const fileValue = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom('1m', '0', 'a.b:5000', 'http://x/y', '/run/x.sock', 'u:p', '127.0.0.1:0', '*'),
    fc.constantFrom(
      '0.0.0.0:1',
      '*.corp',
      'quay.io/team',
      '{domain}/{path}',
      '{path}',
      'resolve',
      true,
    ),
    fc.jsonValue({ maxDepth: 1 }),
    fc.double(),
    fc.string({ unit: 'binary' }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...FIELDS), fc.string()), tie('value'), { maxKeys: 6 }),
  ),
})).value

test('loading any YAML value throws nothing but the configuration error', () => {
  fc.assert(
    fc.property(fileValue, (value) => {
      for (const problem of problemsIn(dump(value))) {
        assert.ok(problem.message !== '' && problem.line >= 0)
      }
    }),
    { numRuns: 1000 },
  )
})

test('loading any text throws nothing but the configuration error', () => {
  const nearly = fc
    .array(
      fc.constantFrom(
        ...FIELDS,
        ': ',
        '\n',
        '  ',
        '- ',
        '[',
        ']',
        '{',
        '}',
        '&a',
        '*a',
        '|',
        '"',
        '#',
      ),
    )
    .map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.oneof(nearly, fc.string({ unit: 'binary' })), (text) => {
      for (const problem of problemsIn(text)) {
        assert.ok(problem.message !== '' && problem.line <= text.split(/\r\n|\r|\n/).length)
      }
    }),
    { numRuns: 1000 },
  )
})
