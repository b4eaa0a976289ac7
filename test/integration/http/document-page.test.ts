import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { anAnswer, openApp, someImages, TOKEN } from '../../support/http-app.ts'
import { runProgram } from '../../support/program.ts'
import { examplesOf, patternOf } from '../../support/readme.ts'

const PAGE = new URL('../../../docs/http-api.md', import.meta.url)

test('the commands of docs/http-api.md print what it says', async (t) => {
  const app = await openApp(t, {
    answers: {
      answer: async (requested) => {
        if (requested !== 'nope') return anAnswer({ requested })
        throw new ResolveError('MANIFEST_UNKNOWN', 'docker.io/library/nope is nowhere')
      },
    },
    ...someImages(),
    onEvent: async () => 1,
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const examples = examplesOf(readFileSync(PAGE, 'utf8'))
  assert.ok(examples.length >= 12, `${examples.length} examples`)

  for (const { command, output } of examples) {
    const printed = await runProgram('sh', [
      '-c',
      `TOKEN=${TOKEN}; ${command.replace('http://127.0.0.1:9430', url)}`,
    ])

    assert.match(printed.trimEnd(), patternOf(output), command)
  }
})
