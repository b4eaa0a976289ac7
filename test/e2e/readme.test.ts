import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { MAIN } from '../support/daemon.ts'
import { buildImage, buildIndex } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { runProgram } from '../support/program.ts'
import { examplesOf, patternOf } from '../support/readme.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const README = new URL('../../README.md', import.meta.url)

test('the commands of the README print what it says', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, { registries: [] })
  const arm = buildImage({ platform: { os: 'linux', architecture: 'arm64' } })
  await node.push('library/nginx', 'latest', buildIndex([buildImage(), arm]))
  const examples = examplesOf(readFileSync(README, 'utf8'))
  assert.ok(examples.length >= 7, `${examples.length} examples`)

  for (const { command, output } of examples) {
    const real = command
      .replace('http://127.0.0.1:9430/', node.daemon.httpUrl().replace(/\/?$/, '/'))
      .replace(
        /^image-resolver (.*)$/,
        `${process.execPath} ${MAIN.join(' ')} $1 -f ${node.daemon.configFile}`,
      )
    const printed = await runProgram('sh', ['-c', real])

    const said = printed.replaceAll(node.first.host, '127.0.0.1:5000').trimEnd()
    assert.match(said, patternOf(output), command)
  }
})
