import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkExamples } from '../support/examples.ts'
import { buildImage, buildIndex } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const README = new URL('../../README.md', import.meta.url)

test('the commands of the README print what it says', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, { registries: [] })
  const arm = buildImage({ platform: { os: 'linux', architecture: 'arm64' } })
  await node.push('library/nginx', 'latest', buildIndex([buildImage(), arm]))

  const count = await checkExamples(README, {
    configFile: node.daemon.configFile,
    standsFor: {
      'http://127.0.0.1:9430': node.daemon.httpUrl().replace(/\/$/, ''),
      '127.0.0.1:5000': node.first.host,
    },
  })

  assert.ok(count >= 7, `${count} examples`)
})
