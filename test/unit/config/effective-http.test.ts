import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadText, problemsIn } from '../../support/config.ts'

const OPEN = ['0.0.0.0:9430', '"[::]:9430"', '10.0.0.1:9430', 'node.corp:9430']
const LOCAL = ['127.0.0.1:0', '"[::1]:9430"', 'localhost:9430', 'unix:///run/http.sock']

for (const listen of OPEN) {
  test(`listening on ${listen} without a token is refused, with the words to mend it`, () => {
    const problems = problemsIn(`http:\n  listen: ${listen}\n`)

    assert.deepEqual(problems, [
      {
        line: 2,
        path: 'http.listen',
        message: `other machines can reach ${listen.replaceAll('"', '')} without a token: set http.token or http.tokenFile, or listen on 127.0.0.1:9430`,
      },
    ])
  })
}

for (const listen of LOCAL) {
  test(`listening on ${listen} needs no token`, () => {
    const { config, warnings } = loadText(`http: {listen: ${listen}}\n`)

    assert.equal(config.http.token, undefined)
    assert.deepEqual(warnings, [])
  })
}

test('with a token, or a file of it, and TLS any address may be listened on', () => {
  for (const token of ['token: s3cret', 'tokenFile: /etc/token']) {
    const { warnings } = loadText(
      `http: {listen: "0.0.0.0:1", ${token}, tls: {cert: /a.pem, key: /a.key}}\n`,
    )

    assert.deepEqual(warnings, [])
  }
})

test('a token without TLS on an open address is a warning', () => {
  const { config, warnings } = loadText('http: {listen: "0.0.0.0:1", tokenFile: /etc/token}\n')

  assert.equal(config.http.tokenFile, '/etc/token')
  assert.deepEqual(warnings, [
    'http.listen (line 1): the token crosses the network in the clear: set http.tls',
  ])
})

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ['token: "two words"', 'http.token', /^not a token; write letters/],
  ['token: "hunter2\\n"', 'http.token', /^not a token/],
  ['tokenFile: ./token', 'http.tokenFile', /is not an absolute path/],
  ['tokenFile: hunter2', 'http.tokenFile', /^looks like the secret itself/],
  ['token: hunter2, tokenFile: /x', 'http.tokenFile', /^the token is given twice/],
  ['tls: {cert: /a.pem}', 'http.tls.key', /^required, and not there$/],
  ['tls: {key: /a.key}', 'http.tls.cert', /^required, and not there$/],
  ['tls: {cert: a.pem, key: /a.key}', 'http.tls.cert', /is not an absolute path/],
  ['rateLimit: -1', 'http.rateLimit', /^expected a whole number from 0 to 1000000, got "-1"$/],
  ['rateLimit: 1000001', 'http.rateLimit', /^expected a whole number from 0 to 1000000/],
  ['events: true', 'http.events', /^notifications are taken with the token alone: set http.token/],
]

for (const [fields, path, message] of MISTAKES) {
  test(`http with ${fields} is one mistake, reported at its field`, () => {
    const problems = problemsIn(`http: {${fields}}\n`)

    assert.deepEqual(
      problems.map((problem) => problem.path),
      [path],
    )
    assert.match(problems[0]?.message ?? '', message)
    assert.doesNotMatch(problems[0]?.message ?? '', /hunter2/)
  })
}
