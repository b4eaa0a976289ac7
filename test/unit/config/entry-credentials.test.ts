import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadText, problemsIn } from '../../support/config.ts'

const WAYS: readonly (readonly [string, object])[] = [
  ['', {}],
  ['auth: ":"', {}],
  ['auth: "u:p:q"', { credentials: { kind: 'basic', username: 'u', password: 'p:q' } }],
  ['auth: ":", tokenFile: /t', { credentialFiles: { tokenFile: '/t' } }],
  [
    'username: u, password: "p:q "',
    { credentials: { kind: 'basic', username: 'u', password: 'p:q ' } },
  ],
  ['username: u, passwordFile: /p', { credentialFiles: { username: 'u', passwordFile: '/p' } }],
  ['identityToken: t0k', { credentials: { kind: 'identityToken', token: 't0k' } }],
  ['tokenFile: /t', { credentialFiles: { tokenFile: '/t' } }],
  ['username: "", password: "", identityToken: ""', {}],
]

for (const [fields, expected] of WAYS) {
  test(`an entry with ${fields || 'nothing'} has the credentials that it says`, () => {
    const { config } = loadText(`registries: [{address: a.b, ${fields}}]\n`)

    const { credentials, credentialFiles } = config.registries[0] ?? {}
    assert.deepEqual(
      {
        ...(credentials === undefined ? {} : { credentials }),
        ...(credentialFiles === undefined ? {} : { credentialFiles }),
      },
      expected,
    )
  })
}

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  ['auth: "u:hunter2", identityToken: hunter2', 'identityToken', /given twice, as auth too/],
  ['username: u, password: hunter2, tokenFile: /t', 'tokenFile', /given twice, as password too/],
  ['username: u, password: hunter2, passwordFile: /p', 'passwordFile', /given twice, as password/],
  ['auth: "u:hunter2", username: u, password: x', 'password', /given twice, as auth too/],
  ['password: hunter2', 'password', /^needs username beside it$/],
  ['passwordFile: /p', 'passwordFile', /^needs username beside it$/],
  ['username: hunter2', 'username', /^needs password or passwordFile beside it$/],
  ['auth: "u:hunter2", username: u', 'username', /^needs password or passwordFile beside it$/],
  ['username: "u:hunter2", password: x', 'username', /^holds a colon, which no user name can$/],
  ['username: u, passwordFile: ../p', 'passwordFile', /is not an absolute path/],
  ['username: u, passwordFile: hunter2', 'passwordFile', /^looks like the secret itself/],
  ['tokenFile: ./t', 'tokenFile', /is not an absolute path/],
  ['identityToken: "hunter2 "', 'identityToken', /^not a token/],
  ['auth: hunter2', 'auth', /is not user:password/],
]

for (const [fields, field, message] of MISTAKES) {
  test(`an entry with ${fields} is one mistake, reported at its field without the secret`, () => {
    const problems = problemsIn(`registries:\n- address: a.b\n- {address: c.d, ${fields}}\n`)

    assert.deepEqual(
      problems.map(({ line, path }) => [line, path]),
      [[3, `registries[1].${field}`]],
    )
    assert.match(problems[0]?.message ?? '', message)
    assert.doesNotMatch(problems[0]?.message ?? '', /hunter2/)
  })
}
