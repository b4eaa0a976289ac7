import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import { parseNormalized } from '../../../src/reference/reference.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const HEX = '0123456789abcdef'.repeat(4)

/** What is written, and what the message must say about it. */
const ROWS: readonly (readonly [string, RegExp])[] = [
  ['', /is empty/],
  [HEX, /is an image ID/],
  ['https://corp.example/app', /is a URL: drop https:\/\/,/],
  ['docker://nginx', /is a URL: drop docker:\/\/,/],
  [' nginx', /white space or a control character at position 1$/],
  ['nginx\n', /"nginx\\u\{a\}" has white space or a control character at position 6$/],
  ['nginx:1 ', /at position 8$/],
  ['foo_bar.com/app', /the domain "foo_bar\.com"/],
  ['corp.example:http/app', /the domain "corp\.example:http"/],
  ['corp.example:/app', /the domain "corp\.example:"/],
  ['-corp.example/app', /the domain "-corp\.example"/],
  ['corp-.example/app', /the domain "corp-\.example"/],
  ['corp..example/app', /the domain "corp\.\.example"/],
  ['fc00::1:5000/app', /IPv6 in square brackets/],
  ['[fe80::1%eth0]:5000/app', /IPv6 in square brackets/],
  ['[::ffff:10.0.0.1]/app', /IPv6 in square brackets/],
  ['Nginx', /"Nginx" has upper-case letters: write "nginx"$/],
  ['corp.example/Team/App:V1', /"Team\/App" has upper-case letters: write "team\/app"$/],
  ['Foo/Bar', /"Bar" has upper-case letters: write "bar"$/],
  [`corp.example/${'n'.repeat(256)}`, /is 256 characters long, at most 255/],
  ['n'.repeat(248), /is 256 characters long, at most 255/],
  ['corp.example/', /names no repository$/],
  [':tag', /names no repository$/],
  [`@sha256:${HEX}`, new RegExp(`^reference "@sha256:${HEX}" names no repository$`)],
  ['/app', /an empty part beside a slash$/],
  ['a//b', /an empty part beside a slash$/],
  ['a/b/', /an empty part beside a slash$/],
  ['a-/b', /^"a-" in the repository name of "a-\/b" is not valid/],
  ['a/_b', /^"_b" in the repository name/],
  ['a/b___c', /^"b___c" in the repository name/],
  ['a/b..c', /^"b\.\.c" in the repository name/],
  ['a/b^c', /^"b\^c" in the repository name/],
  ['é', /^"é" in the repository name/],
  ['[::1]:5000', /^"\[" in the repository name/],
  ['app:', /the tag "" /],
  ['app:-1', /the tag "-1" /],
  ['app:a~b', /the tag "a~b" /],
  ['app:a:b', /the tag "a:b" /],
  [`app:${'t'.repeat(129)}`, /the tag "t{129}" /],
  ['app@', /"" is not a digest: write algorithm:hex/],
  ['app@bad', /"bad" is not a digest/],
  ['app:1@md5:00', /digest algorithm "md5" is not supported: use sha256, sha384 or sha512$/],
  [`app@SHA256:${HEX}`, /digest algorithm "SHA256" is not supported/],
  ['app@sha256:00ff', /a sha256 digest has 64 hexadecimal digits, "sha256:00ff" has 4$/],
  [`app@sha512:${HEX}`, /a sha512 digest has 128 hexadecimal digits/],
  [`app@sha256:${HEX.toUpperCase()}`, /only the digits 0-9 and a-f/],
  [`app@sha256:${HEX}@sha256:${HEX}`, /a sha256 digest has 64/],
]

describe('a reference that cannot be read', () => {
  for (const [input, message] of ROWS) {
    test(`${JSON.stringify(input.slice(0, 50))} is refused with ${message.source.slice(0, 60)}`, () => {
      assert.throws(() => parseNormalized(input), {
        name: 'ResolveError',
        code: 'NAME_INVALID',
        message,
      })
    })
  }

  test('of more than 4096 characters is refused without being looked at or repeated', () => {
    const error = refusal('a'.repeat(4097))

    assert.equal(error.message, 'the reference is 4097 characters long, at most 4096 are read')
  })

  for (const hostile of ['a-', 'a.', 'a_', 'a/', 'A.', '-', '_', 'a+', '[a:', 'x@', '//', '::']) {
    test(`does not take long over the longest run of ${hostile}`, () => {
      const input = `${hostile.repeat(4090 / hostile.length)}!/!`

      const ms = cpuMs(() => {
        refusal(input)
        refusal(`corp.example/${input}`.slice(0, 4096))
        refusal(`app@sha256+${input}`.slice(0, 4096))
      })

      // Takes about 1 ms; where a repetition can match in two ways it takes for ever.
      assert.ok(ms < 2_000, `${ms} ms`)
    })
  }

  for (const input of [
    'https://user:s3cret@corp.example/app',
    `https://AWS:${'s3cret'.repeat(300)}@corp.example/app`,
    'user:s3cret@corp.example/app',
    'user:s3c/s3cret@corp.example/app',
    'User:s3cret@x/s3cret@corp.example/app',
    's3cret@corp.example/app:1',
  ]) {
    test(`does not repeat the credentials in ${input.slice(0, 30)}`, () => {
      const error = refusal(input)

      assert.doesNotMatch(error.message, /s3c/)
      assert.match(error.message, /\*\*\*@corp\.example\/app/)
    })
  }
})

function refusal(input: string): ResolveError {
  try {
    parseNormalized(input)
  } catch (error) {
    assert.ok(error instanceof ResolveError)
    return error
  }
  assert.fail(`${input.slice(0, 40)} was accepted`)
}
