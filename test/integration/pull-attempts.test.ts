import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAliasNode } from '../support/alias-node.ts'
import { MAIN } from '../support/daemon.ts'
import { CRI_O } from '../support/image-runtime.ts'
import { startProgram } from '../support/program.ts'

for (const [name, config] of [
  ['where its own answer goes back', { mirrorsOnly: ['docker.io'] }],
] as const) {
  test(`a pull that fails tells what each registry said, ${name}`, async (t) => {
    const token = 'a-token-of-this-test'
    const http = { listen: '127.0.0.1:0', token }
    const { daemon, mirror } = await startAliasNode(t, CRI_O, { ...config, http })
    const registry = new URL(mirror.url).host
    const program = startProgram(process.execPath, [
      ...MAIN,
      'pull',
      'nginx:nope',
      '-f',
      daemon.configFile,
    ])
    const response = await fetch(new URL('/images/pull', daemon.httpUrl()), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reference: 'nginx:nope' }),
    })

    const events = await response.text()
    await program.ended()

    const [, last = ''] = /event: failed\ndata: (.*)\n/.exec(events) ?? []
    const { error } = JSON.parse(last)
    assert.equal(error.code, 'MANIFEST_UNKNOWN')
    const [{ ms, message, ...attempt }] = error.attempts
    assert.deepEqual(attempt, { registry, step: 'manifest', outcome: 'not_found', status: 404 })
    assert.equal(typeof ms, 'number')
    assert.match(message, /library\/nginx:nope is not there/)
    const output = program.output()
    assert.equal(program.exitCode(), 4, output)
    assert.match(
      output,
      /^image-resolver: docker\.io\/library\/nginx:nope: not found \[MANIFEST_UNK/,
    )
    assert.ok(output.includes(`\nasked\n  ${registry}  manifest  not_found 404  `), output)
    assert.equal(output.split('is not there').length, 2, `told more than once:\n${output}`)
  })
}
