import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadText, problemsIn } from '../../support/config.ts'

const ENDPOINTS: readonly (readonly [string, object])[] = [
  ['address: a.b:5000, plainHttp: true', { scheme: 'http', host: 'a.b:5000', prefix: '' }],
  ['address: hub/x, plainHttp: true', { scheme: 'http', host: 'hub:80', prefix: 'x' }],
  ['address: localhost, plainHttp: false', { scheme: 'https', host: 'localhost', prefix: '' }],
  ['address: http://a.b, plainHttp: true', { scheme: 'http', host: 'a.b', prefix: '' }],
  ['address: HTTPS://a.b, plainHttp: false', { scheme: 'https', host: 'a.b', prefix: '' }],
  ['address: a.b, ca: /c', { scheme: 'https', host: 'a.b', prefix: '', tls: { caFiles: ['/c'] } }],
  [
    'address: a.b, cert: /c, key: /k',
    { scheme: 'https', host: 'a.b', prefix: '', tls: { certFile: '/c', keyFile: '/k' } },
  ],
  [
    'address: a.b, insecureSkipVerify: yes',
    { scheme: 'https', host: 'a.b', prefix: '', tls: { insecureSkipVerify: true } },
  ],
  ['address: a.b, insecureSkipVerify: no', { scheme: 'https', host: 'a.b', prefix: '' }],
]

for (const [fields, expected] of ENDPOINTS) {
  test(`an entry with ${fields} is spoken to as it says`, () => {
    const { config, warnings } = loadText(`registries: [{${fields}}]\n`)

    assert.deepEqual(config.registries[0]?.endpoint, expected)
    assert.deepEqual(warnings, [])
  })
}

test('what is said about TLS with a registry over http is not used, with a warning for each', () => {
  const { config, warnings } = loadText(
    'registries:\n- {address: a.b, plainHttp: true, ca: /c, insecureSkipVerify: true}\n',
  )

  assert.deepEqual(config.registries[0]?.endpoint, { scheme: 'http', host: 'a.b', prefix: '' })
  assert.deepEqual(warnings, [
    'registries[0].ca (line 2): not used: this registry is asked over http',
    'registries[0].insecureSkipVerify (line 2): not used: this registry is asked over http',
  ])
})

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ['address: https://a.b, plainHttp: true', 'plainHttp', /^true, and the address says https:\/\//],
  ['address: http://a.b, plainHttp: false', 'plainHttp', /^false, and the address says http:\/\//],
  ['address: ftp://a.b, plainHttp: true', 'address', /has the scheme ftp: write http/],
  ['address: "a.b:0", plainHttp: true', 'address', /has the port 0/],
  ['address: a.b, cert: /c', 'cert', /^needs key beside it$/],
  ['address: a.b, key: /k', 'key', /^needs cert beside it$/],
  ['address: a.b, ca: ca.pem', 'ca', /is not an absolute path/],
  ['address: a.b, ca: [/a]', 'ca', /^expected text, got a list$/],
  ['address: a.b, insecureSkipVerify: 1', 'insecureSkipVerify', /^expected true or false/],
]

for (const [fields, field, message] of MISTAKES) {
  test(`an entry with ${fields} is one mistake, reported at its field`, () => {
    const problems = problemsIn(`registries:\n- {${fields}}\n`)

    assert.deepEqual(
      problems.map(({ line, path }) => [line, path]),
      [[2, `registries[0].${field}`]],
    )
    assert.match(problems[0]?.message ?? '', message)
  })
}
