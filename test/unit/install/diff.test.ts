import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileDiff } from '../../../src/install/diff.ts'

const SHOWN = [
  ['datastore-endpoint: "postgres://u:pw@h/db"', 'datastore-endpoint: ***'],
  ['etcd-s3-secret-key: pw', 'etcd-s3-secret-key: ***'],
  ['"password":"pw"', '"password":***'],
  ['  - token=pw', '  - token=***'],
  ['K3S_TOKEN=pw w', 'K3S_TOKEN=***'],
  ['Environment="A=1" "X_PASSWORD=p w"', 'Environment="A=1" "X_PASSWORD=***"'],
  ['ExecStart=/k --token=pw --v=2', 'ExecStart=/k --token=*** --v=2'],
  ['ExecStart=/k --token pw --v=2', 'ExecStart=/k --token *** --v=2'],
  ['X="--token=pw --v=2"', 'X="--token=*** --v=2"'],
  ["ExecStart=/k '--token=p w' --v=2", "ExecStart=/k '--token=***' --v=2"],
  ["ExecStart=/k --token 'p w' --v=2", 'ExecStart=/k --token *** --v=2'],
  ['DB_PASS=pw', 'DB_PASS=***'],
  ['PROXY_PWD=pw', 'PROXY_PWD=***'],
  ['Authorization: Basic pw', 'Authorization: ***'],
  ['curl -H "X: Bearer pw"', 'curl -H "X: Bearer ***"'],
  ['mirror: https://u:p@w@h/x', 'mirror: https://***@h/x'],
  ['authentication:', 'authentication:'],
  ['image-service-endpoint: unix:///run/s.sock', 'image-service-endpoint: unix:///run/s.sock'],
  ['address: https://hub.corp/a', 'address: https://hub.corp/a'],
] as const

for (const [line, shown] of SHOWN) {
  test(`a diff shows ${JSON.stringify(line)} without its secret`, () => {
    assert.equal(fileDiff('/f', '', `${line}\n`).split('\n').at(3), `+${shown}`)
  })
}

test('a secret on the lines below its name is not shown, and one that changes is a change', () => {
  const before =
    "x: 1\nsecret: |\n  pw\n  pw\ny: 1\nExecStart=/k3s \\\n\t'--token' \\\n\t'pw' \\\n\t'a'\n"
  const diff = fileDiff('/f', '', before)
  const changed = fileDiff('/f', 'token: one\n', 'token: two\n')

  assert.ok(!diff.includes('pw'), diff)
  assert.match(diff, /\+y: 1\n/)
  assert.match(diff, /\+\t'a'\n/)
  assert.match(changed, /-token: \*\*\*\n\+token: \*\*\*\n/)
})

const LONG = [
  'token:\n  pw\n',
  'token: # of the cluster\n  pw\n',
  'token: "a\n  pw"\n',
  'token: a\n  pw\n',
  '{\n "token": [\n  "pw"\n ]}\n',
  'tokens:\n  - pw\n  - pw\n',
  'tokens:\n- pw\n',
  'tokens: [a,\n  pw]\n',
  'token: &a |\n  pw\n',
  'token: |\n  pw',
  '- token: a\n    pw\n',
  'TOKEN="a\npw"\n',
  'TOKEN=a\\\npw\\\npw\n',
  'KEY="-----BEGIN\npw\n-----END"\n',
  'Environment="TOKEN=a \\\n  pw"\n',
]

for (const text of LONG) {
  test(`a diff shows ${JSON.stringify(text)} without its secret, and what is below it`, () => {
    const diff = fileDiff('/f', '', text)
    const more = fileDiff('/f', '', `${text.replace(/\n?$/, '\n')}y: 1\n`)

    assert.ok(!diff.includes('pw'), diff)
    assert.equal(diff.includes('\\ No newline at end of file'), !text.endsWith('\n'))
    assert.match(more, /\+y: 1\n/)
  })
}

test('fields below a name that is like that of a secret are shown', () => {
  const text =
    'authentication:\n  webhook:\n    enabled: true\n- token: pw\n  name: a\nkeychain:\n  # a: b\n'
  const shown = text.replace('pw', '***')
  assert.ok(fileDiff('/f', '', text).endsWith(shown.replace(/^(?=.)/gm, '+')))
})

test('a line that is very long takes no long time', () => {
  for (const word of ['a', 'key', '--token ', ':// ', '" ']) {
    for (const length of [8 * 1024, 1024 * 1024]) {
      const line = word.repeat(Math.floor(length / word.length))
      const before = performance.now()
      fileDiff('/f', '', `${line}\n`)
      assert.ok(performance.now() - before < 2_000, `${length} of ${JSON.stringify(word)}`)
    }
  }
})
