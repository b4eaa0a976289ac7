import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnName } from '../../../../src/http/access/guard.ts'

const LISTEN = 'resolver.corp:9430'
const OURS = [
  '127.0.0.1:9430',
  '127.0.0.1',
  '127.8.0.1:1',
  '[::1]:9430',
  '[::ffff:127.0.0.1]',
  'localhost',
  'LocalHost:9430',
  'node.localhost:9430',
  'Resolver.corp:9430',
  'resolver.corp',
]
const OTHERS = [
  '',
  'evil.example',
  'evil.example:9430',
  'localhost.evil.example',
  'evillocalhost',
  '127.0.0.1.evil.example',
  '127.0.0.1:9430.evil.example',
  '[::1].evil.example',
  'a.resolver.corp',
  'evil.example:80:9430',
]

for (const host of OURS) {
  test(`the service is meant by ${host}`, () => {
    const names = new OwnName(LISTEN)

    assert.ok(names.isMeant(host))
    assert.ok(names.isMeant(host))
  })
}

for (const host of OTHERS) {
  test(`the service is not meant by ${JSON.stringify(host)}, whoever asked before`, () => {
    const names = new OwnName(LISTEN)
    names.isMeant('127.0.0.1')

    assert.ok(!names.isMeant(host))
    assert.ok(!names.isMeant(host))
  })
}

test('who sends no name at all means the service', () => {
  assert.ok(new OwnName(undefined).isMeant(undefined))
})

test('a unix socket has no name', () => {
  assert.ok(!new OwnName('unix:///run/resolver.corp').isMeant('resolver.corp'))
})
