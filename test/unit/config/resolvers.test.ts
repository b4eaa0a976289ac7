import assert from 'node:assert/strict'
import { test } from 'node:test'
import { printConfig } from '../../../src/config/print.ts'
import { loadText, problemsIn } from '../../support/config.ts'

test('a resolver is a text, or a text with its authority and token', () => {
  const { config, warnings } = loadText(
    [
      'resolvers:',
      '  - https://image-resolver.kube-system',
      '  - {url: "https://[fd00::1]:9430/ir", ca: /etc/ca.pem, tokenFile: /etc/token}',
      '  - http://127.0.0.1:9430',
      'pull: {freshness: 2s}',
    ].join('\n'),
  )

  const at = (host: string, fields: object = {}) => ({
    endpoint: { scheme: 'https', host, prefix: '', ...fields },
    tokenFile: undefined,
  })
  assert.deepEqual(warnings, [])
  assert.deepEqual(config.resolvers, [
    at('image-resolver.kube-system'),
    {
      ...at('[fd00::1]:9430', { prefix: 'ir', tls: { caFiles: ['/etc/ca.pem'] } }),
      tokenFile: '/etc/token',
    },
    at('127.0.0.1:9430', { scheme: 'http' }),
  ])
  assert.equal(config.pull.freshnessMs, 2_000)
  assert.deepEqual(loadText(printConfig(config)).config.resolvers, config.resolvers)
})

const MISTAKES: readonly (readonly [text: string, path: string, message: RegExp])[] = [
  ['resolvers: [http://resolver.corp]', 'resolvers[0].url', /write https:\/\//],
  [
    'resolvers: ["https://u:p@resolver.corp"]',
    'resolvers[0].url',
    /holds credentials: .*tokenFile/,
  ],
  ['resolvers: [{ca: /ca.pem}]', 'resolvers[0].url', /^required, and not there$/],
  ['resolvers: [{url: a.b, tokenFile: ./token}]', 'resolvers[0].tokenFile', /absolute path/],
  ['resolvers: [{url: a.b, token: x}]', 'resolvers[0].token', /^unknown field/],
  ['resolvers: https://a.b', 'resolvers', /expected a list/],
  [
    'resolvers: [https://a.b]\ncache: {shared: {url: "unix:///s"}}',
    'resolvers',
    /cache\.shared is set/,
  ],
]

test('what is wrong with a resolver is said at its field', () => {
  for (const [text, path, message] of MISTAKES) {
    const problems = problemsIn(`${text}\n`)

    assert.deepEqual(
      problems.map((problem) => problem.path),
      [path],
      text,
    )
    assert.match(problems[0]?.message ?? '', message)
  }
})
