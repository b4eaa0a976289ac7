import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startAliasNode } from '../support/alias-node.ts'
import { MAIN } from '../support/daemon.ts'
import { CRI_O } from '../support/image-runtime.ts'
import { startProgram } from '../support/program.ts'

/** Where the runtime may not go to the origin the answer is ours, else it is the runtime's. */
const WAYS = [
  ['in an answer of our own', { mirrorsOnly: ['127.0.0.1:1'] }],
  ["behind the runtime's own words", {}],
] as const

for (const [name, config] of WAYS) {
  test(`a pull that fails tells what each registry said, ${name}`, async (t) => {
    const token = 'a-token-of-this-test'
    const http = { listen: '127.0.0.1:0', token }
    const { daemon, mirror } = await startAliasNode(t, CRI_O, { ...config, http })
    const registry = new URL(mirror.url).host
    // Its origin is out of reach, for us and for the runtime.
    const reference = '127.0.0.1:1/team/app:nope'
    const args = ['pull', reference, '-f', daemon.configFile]
    const program = startProgram(process.execPath, [...MAIN, ...args])
    const response = await fetch(new URL('/images/pull', daemon.httpUrl()), {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ reference }),
    })

    const events = await response.text()
    await program.ended()

    const [, last = ''] = /event: failed\ndata: (.*)\n/.exec(events) ?? []
    const [first] = JSON.parse(last).error.attempts
    const { ms, message, ...attempt } = first
    assert.deepEqual(attempt, { registry, step: 'manifest', outcome: 'not_found', status: 404 })
    assert.equal(typeof ms, 'number')
    assert.match(message, /team\/app:nope is not there/)
    const output = program.output()
    assert.notEqual(program.exitCode(), 0)
    assert.match(output, new RegExp(`\nasked\n {2}${registry} +manifest +not_found 404 +`))
    assert.equal(output.split('team/app:nope is not there').length, 2, `told twice:\n${output}`)
  })
}
