import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { listenHttp } from '../../../src/http/listen.ts'
import type { Answers } from '../../../src/http/types.ts'
import type { AnswerOptions } from '../../../src/resolver/answers.ts'
import { anAnswer, openApp, WITH_TOKEN } from '../../support/http-app.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** Writes down for whom it was asked: at once (`quick`), or not. */
class Visitors implements Answers {
  readonly seen: string[] = []

  prepare(input: string, _platform: string | undefined, unauthenticated: boolean) {
    return () => {
      if (input !== 'cached') return undefined
      this.seen.push(`quick ${unauthenticated ? 'unauthenticated' : 'known'}`)
      return anAnswer({ source: 'cache' })
    }
  }

  async answer(_input: string, { unauthenticated }: AnswerOptions) {
    this.seen.push(unauthenticated === false ? 'known' : 'unauthenticated')
    return anAnswer()
  }
}

const ways: readonly (readonly [string, string, object, readonly string[]])[] = [
  [
    'without the token on loopback',
    '127.0.0.1:0',
    {},
    ['quick unauthenticated', 'unauthenticated', 'unauthenticated'],
  ],
  [
    'with a wrong token on loopback',
    '127.0.0.1:0',
    { authorization: 'Bearer nope' },
    ['quick unauthenticated', 'unauthenticated', 'unauthenticated'],
  ],
  ['with the token on loopback', '127.0.0.1:0', WITH_TOKEN, ['quick known', 'known', 'known']],
  ['with the token over the network', '0.0.0.0:0', WITH_TOKEN, ['quick known', 'known', 'known']],
  ['through the unix socket', 'unix://', {}, ['quick known', 'known', 'known']],
]

for (const [how, where, headers, expected] of ways) {
  test(`who asks ${how} is ${expected.at(-1)}`, async (t) => {
    const answers = new Visitors()
    const app = await openApp(t, { answers })
    await listenHttp(app, where === 'unix://' ? `unix://${join(temporaryFolder(t), 's')}` : where)

    await ask(t, app, 'GET', '/resolve?ref=cached', headers)
    await ask(t, app, 'GET', '/resolve?ref=new', headers)
    await ask(t, app, 'POST', '/resolve', headers)

    assert.deepEqual(answers.seen, expected)
  })
}

async function ask(
  t: TestContext,
  app: FastifyInstance,
  method: string,
  path: string,
  headers: object,
): Promise<void> {
  const address = app.server.address() as AddressInfo | string
  const where =
    typeof address === 'string'
      ? { socketPath: address }
      : { host: '127.0.0.1', port: address.port }
  const type = { 'content-type': 'application/json' }
  await new Promise<void>((resolve, reject) => {
    const asked = request({
      ...where,
      method,
      path,
      headers: { ...headers, ...type },
      agent: false,
    })
    asked.once('error', reject)
    asked.once('response', (response) => {
      assert.equal(response.statusCode, 200)
      response.resume().once('end', resolve)
    })
    asked.end(method === 'POST' ? '{"references":["new"]}' : undefined)
    t.after(() => asked.destroy())
  })
}
