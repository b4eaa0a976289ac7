import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { BearerToken } from '../../../../src/http/access/token.ts'
import { temporaryFolder } from '../../../support/stack.ts'

const headers: readonly (readonly [string | undefined, boolean])[] = [
  ['Bearer secret', true],
  ['bearer  secret ', true],
  ['Bearer Secret', false],
  ['Bearer secret2', false],
  ['Bearer', false],
  ['Bearer secret secret', false],
  ['Basic secret', false],
  ['secret', false],
  ['', false],
  [undefined, false],
]

for (const [header, accepted] of headers) {
  test(`'${header}' is ${accepted ? 'accepted' : 'refused'}`, () => {
    const token = new BearerToken({ token: 'secret' }, () => 0)

    assert.equal(token.accepts(header), accepted)
  })
}

test('without a token nothing is accepted, not even nothing', () => {
  const token = new BearerToken({}, () => 0)

  assert.equal(token.isConfigured, false)
  assert.equal(token.accepts('Bearer '), false)
})

test('the file is read when it is needed, again when it has changed, and not more than once a second', (t) => {
  const tokenFile = join(temporaryFolder(t), 'token')
  let now = 0
  const token = new BearerToken({ tokenFile }, () => now)
  assert.equal(token.isConfigured, true)
  assert.equal(token.accepts('Bearer one'), false)

  writeFileSync(tokenFile, 'one\n')
  const tooSoon = token.accepts('Bearer one')
  now += 1_000
  const first = token.accepts('Bearer one')
  writeFileSync(tokenFile, 'number-two')
  now += 1_000
  const second = [token.accepts('Bearer one'), token.accepts('Bearer number-two')]

  assert.deepEqual([tooSoon, first, ...second], [false, true, false, true])
})

test('a file that is emptied, overlong or gone lets nobody in', (t) => {
  const tokenFile = join(temporaryFolder(t), 'token')
  let now = 0
  const token = new BearerToken({ tokenFile }, () => now)
  const afterwards = (change: () => void): boolean => {
    change()
    now += 1_000
    return token.accepts('Bearer one')
  }

  assert.equal(
    afterwards(() => writeFileSync(tokenFile, 'one')),
    true,
  )
  assert.equal(
    afterwards(() => writeFileSync(tokenFile, '')),
    false,
  )
  assert.equal(
    afterwards(() => writeFileSync(tokenFile, 'one '.repeat(10_000))),
    false,
  )
  assert.equal(
    afterwards(() => writeFileSync(tokenFile, 'one')),
    true,
  )
  assert.equal(
    afterwards(() => rmSync(tokenFile)),
    false,
  )
})
