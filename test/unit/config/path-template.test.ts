import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parsePathTemplate } from '../../../src/config/addresses.ts'

for (const text of [
  '{path}',
  '{domain}/{path}',
  'mirrors/{domain}/{path}',
  'cache-{domain}/{path}',
  '{path}/cached',
]) {
  test(`${text} is where a registry may keep what it serves`, () => {
    assert.equal(parsePathTemplate(text), text)
  })
}

for (const text of ['', 'mirror', '{domain}', '{Path}', '{ path }']) {
  test(`${JSON.stringify(text)} is refused, since it would make one repository of all images`, () => {
    assert.throws(
      () => parsePathTemplate(text),
      /has no \{path\}, so every image .* as in \{domain\}/,
    )
  })
}

for (const text of [
  '/{path}',
  '{path}/',
  'a//{path}',
  'Mirror/{path}',
  '{host}/{path}',
  '_{path}',
  'a b/{path}',
  'a:5000/{path}',
  `${'a'.repeat(255)}/{path}`,
]) {
  test(`${JSON.stringify(text.slice(0, 30))} is refused, since no repository is called so`, () => {
    assert.throws(() => parsePathTemplate(text), /makes no name of a repository; write it of/)
  })
}
