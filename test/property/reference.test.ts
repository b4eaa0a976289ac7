import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResolveError } from '../../src/errors.ts'
import { formatPlatform, parsePlatform } from '../../src/reference/platform.ts'
import {
  dockerRef,
  familiarReference,
  formatReference,
  isImageId,
  parseNormalized,
  type Reference,
  withDefaultTag,
} from '../../src/reference/reference.ts'

const component = fc.stringMatching(/^[a-z0-9]{1,6}(?:(?:[._]|__|-{1,3})[a-z0-9]{1,6}){0,2}$/)
const path = fc.array(component, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const label = fc.stringMatching(/^[a-zA-Z0-9]{1,5}(?:-{1,2}[a-zA-Z0-9]{1,5})?$/)
const port = fc.option(
  fc.integer({ min: 1, max: 65535 }).map((number) => `:${number}`),
  { nil: '' },
)
const host = fc.oneof(
  fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join('.')),
  fc.ipV4(),
  fc.stringMatching(/^\[[a-f0-9]{1,4}::[a-f0-9]{1,4}\]$/),
  fc.constant('localhost'),
  fc.constant('docker.io'),
)
const domain = fc.tuple(host, port).map(([name, suffix]) => name + suffix)
const tag = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/)
const digest = fc.oneof(
  fc.stringMatching(/^sha256:[a-f0-9]{64}$/),
  fc.stringMatching(/^sha512:[a-f0-9]{128}$/),
)

const written = fc
  .record({
    domain: fc.option(domain, { nil: undefined }),
    path,
    tag: fc.option(tag, { nil: undefined }),
    digest: fc.option(digest, { nil: undefined }),
  })
  .map(
    (part) =>
      (part.domain === undefined ? '' : `${part.domain}/`) +
      part.path +
      (part.tag === undefined ? '' : `:${part.tag}`) +
      (part.digest === undefined ? '' : `@${part.digest}`),
  )
  // The one refusal that the grammar does not show: a.b_c/d, neither domain nor namespace.
  .filter((text) => !/^(?=[^/]*\.)(?=[^/]*_)[^/]*\//.test(text))
  .filter((text) => !isImageId(text))

/** Grammar characters far more often than others, so that many inputs almost parse. */
const almost = fc
  .array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...'ab01./:@_-AZ[]%') },
      { weight: 1, arbitrary: fc.constantFrom('sha256:', 'docker.io/', '://', '\n', '\0', 'é') },
      { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 3 }) },
    ),
    { maxLength: 60 },
  )
  .map((parts) => parts.join(''))

test('whatever the grammar derives is accepted, and reads the same after formatting', () => {
  fc.assert(
    fc.property(written, (text) => {
      const reference = parseNormalized(text)

      assert.deepEqual(parseNormalized(formatReference(reference)), reference)
    }),
    { numRuns: 500 },
  )
})

test('normalising twice is normalising once, in the shape of the CRI path too', () => {
  fc.assert(
    fc.property(written, (text) => {
      const once = withDefaultTag(parseNormalized(text))
      const cri = dockerRef(once)

      assert.deepEqual(withDefaultTag(parseNormalized(formatReference(once))), once)
      assert.deepEqual(dockerRef(parseNormalized(formatReference(cri))), cri)
      assert.equal((cri.tag === undefined) !== (cri.digest === undefined), true)
    }),
    { numRuns: 500 },
  )
})

test('the familiar form reads back, save where its first part looks like a domain', () => {
  fc.assert(
    fc.property(written, (text) => {
      const reference = parseNormalized(text)
      fc.pre(
        !(
          reference.domain === 'docker.io' && /^(?:[^/]*\.[^/]*|localhost)\//.test(short(reference))
        ),
      )

      assert.deepEqual(parseNormalized(familiarReference(reference)), reference)
    }),
    { numRuns: 500 },
  )
})

test('any text at all is a whole reference or a NAME_INVALID of one line', () => {
  fc.assert(
    fc.property(fc.oneof(almost, fc.string({ unit: 'binary', maxLength: 300 })), (text) => {
      let reference: Reference
      try {
        reference = parseNormalized(text)
      } catch (error) {
        assert.ok(error instanceof ResolveError)
        assert.equal(error.code, 'NAME_INVALID')
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        assert.doesNotMatch(error.message, /[\0-\x1f\x7f-\x9f]/)
        return
      }
      assert.match(reference.domain, /^.+$/)
      assert.match(reference.path, /^.+$/)
      assert.deepEqual(parseNormalized(formatReference(reference)), reference)
    }),
    { numRuns: 5000 },
  )
})

test('any text at all is a whole platform or a PLATFORM_INVALID', () => {
  const text = fc.array(fc.constantFrom(...'/avx8_.6 ', 'linux', 'arm', 'unknown'), {
    maxLength: 9,
  })
  fc.assert(
    fc.property(
      text.map((parts) => parts.join('')),
      (input) => {
        try {
          const platform = parsePlatform(input)
          assert.deepEqual(parsePlatform(formatPlatform(platform)), platform)
        } catch (error) {
          assert.ok(error instanceof ResolveError)
          assert.equal(error.code, 'PLATFORM_INVALID')
        }
      },
    ),
    { numRuns: 2000 },
  )
})

function short(reference: Reference): string {
  return familiarReference({ ...reference, tag: undefined, digest: undefined })
}
