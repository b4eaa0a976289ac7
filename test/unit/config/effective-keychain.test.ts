import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadText, problemsIn } from '../../support/config.ts'

test('files of secrets keep their order, and one that is named twice is one', () => {
  const { config } = loadText(
    'keychain: {dockerConfigs: [/b, /a, /b], pullSecrets: [/d, /c], helperTimeout: 500ms}\n',
  )

  assert.deepEqual(config.keychain, {
    dockerConfigs: ['/b', '/a'],
    pullSecrets: ['/d', '/c'],
    credentialProviders: undefined,
    helperTimeoutMs: 500,
  })
})

const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  [
    'dockerConfigs: [/a, ~/.docker/config.json]',
    'keychain.dockerConfigs[1]',
    /not an absolute path/,
  ],
  ['dockerConfigs: /a', 'keychain.dockerConfigs', /^expected a list/],
  ['pullSecrets: [a.json]', 'keychain.pullSecrets[0]', /not an absolute path/],
  [
    'credentialProviders: {config: /a}',
    'keychain.credentialProviders.binDir',
    /^required, and not there$/,
  ],
  [
    'credentialProviders: {config: /a, binDir: bin}',
    'keychain.credentialProviders.binDir',
    /not an absolute path/,
  ],
  ['helperTimeout: 10ms', 'keychain.helperTimeout', /outside 100ms to 10m/],
  ['helperTimeout: 11m', 'keychain.helperTimeout', /outside 100ms to 10m/],
]

for (const [fields, path, message] of MISTAKES) {
  test(`keychain with ${fields} is one mistake, reported at its field`, () => {
    const problems = problemsIn(`keychain:\n  ${fields}\n`)

    assert.deepEqual(
      problems.map((problem) => [problem.line, problem.path]),
      [[2, path]],
    )
    assert.match(problems[0]?.message ?? '', message)
  })
}
