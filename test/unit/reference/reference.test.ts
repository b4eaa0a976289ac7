import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import {
  dockerRef,
  familiarReference,
  formatReference,
  isImageId,
  parseNormalized,
  parseReference,
  repositoryName,
  withDefaultTag,
} from '../../../src/reference/reference.ts'
import { cpuMs } from '../../support/cpu-time.ts'

const HEX = '0123456789abcdef'.repeat(4)

const SHA256 = `sha256:${HEX}`
const SHA512 = `sha512:${HEX}${HEX}`
const SEGMENTS_255 = `library/${'n'.repeat(247)}`

interface Row {
  readonly input: string
  readonly domain: string
  readonly path: string
  readonly tag?: string
  readonly digest?: string
  readonly familiar: string
}

const ROWS: readonly Row[] = [
  // Docker Hub: the domain and library/ may be left out.
  { input: 'nginx', domain: 'docker.io', path: 'library/nginx', familiar: 'nginx' },
  { input: 'library/nginx', domain: 'docker.io', path: 'library/nginx', familiar: 'nginx' },
  { input: 'docker.io/nginx', domain: 'docker.io', path: 'library/nginx', familiar: 'nginx' },
  {
    input: 'index.docker.io/nginx:1',
    domain: 'docker.io',
    path: 'library/nginx',
    tag: '1',
    familiar: 'nginx:1',
  },
  {
    input: 'index.docker.io/team/app',
    domain: 'docker.io',
    path: 'team/app',
    familiar: 'team/app',
  },
  // library/ is left out only before a lone name.
  {
    input: 'docker.io/library/team/app',
    domain: 'docker.io',
    path: 'library/team/app',
    familiar: 'library/team/app',
  },
  // The registry's own host is no alias, and no namespace is filled in there.
  {
    input: 'registry-1.docker.io/nginx',
    domain: 'registry-1.docker.io',
    path: 'nginx',
    familiar: 'registry-1.docker.io/nginx',
  },
  {
    input: 'Docker.io/nginx',
    domain: 'Docker.io',
    path: 'nginx',
    familiar: 'Docker.io/nginx',
  },
  // What the first part is.
  { input: 'team/app', domain: 'docker.io', path: 'team/app', familiar: 'team/app' },
  { input: 'corp.example/app', domain: 'corp.example', path: 'app', familiar: 'corp.example/app' },
  { input: 'corp:5000/app', domain: 'corp:5000', path: 'app', familiar: 'corp:5000/app' },
  { input: 'localhost/app', domain: 'localhost', path: 'app', familiar: 'localhost/app' },
  { input: 'Foo/bar', domain: 'Foo', path: 'bar', familiar: 'Foo/bar' },
  { input: 'team_a/app', domain: 'docker.io', path: 'team_a/app', familiar: 'team_a/app' },
  {
    input: 'xn--bcher-kva.example/a/b/c',
    domain: 'xn--bcher-kva.example',
    path: 'a/b/c',
    familiar: 'xn--bcher-kva.example/a/b/c',
  },
  // A lone part is never a domain, whatever it looks like.
  {
    input: 'localhost:5000',
    domain: 'docker.io',
    path: 'library/localhost',
    tag: '5000',
    familiar: 'localhost:5000',
  },
  { input: '10.0.0.1', domain: 'docker.io', path: 'library/10.0.0.1', familiar: '10.0.0.1' },
  // Addresses.
  {
    input: '10.0.0.1:5000/app:5000',
    domain: '10.0.0.1:5000',
    path: 'app',
    tag: '5000',
    familiar: '10.0.0.1:5000/app:5000',
  },
  { input: '[::1]/app', domain: '[::1]', path: 'app', familiar: '[::1]/app' },
  {
    input: `[2001:DB8::7]:443/app@${SHA256}`,
    domain: '[2001:DB8::7]:443',
    path: 'app',
    digest: SHA256,
    familiar: `[2001:DB8::7]:443/app@${SHA256}`,
  },
  // Separators in a path.
  {
    input: 'corp.example/a.b_c__d-e---f/0g',
    domain: 'corp.example',
    path: 'a.b_c__d-e---f/0g',
    familiar: 'corp.example/a.b_c__d-e---f/0g',
  },
  // Tags may be upper-case and 128 long; a digest stays beside its tag.
  {
    input: `app:_${'T.-'.repeat(42)}x`,
    domain: 'docker.io',
    path: 'library/app',
    tag: `_${'T.-'.repeat(42)}x`,
    familiar: `app:_${'T.-'.repeat(42)}x`,
  },
  {
    input: `app:1@${SHA256}`,
    domain: 'docker.io',
    path: 'library/app',
    tag: '1',
    digest: SHA256,
    familiar: `app:1@${SHA256}`,
  },
  {
    input: `corp.example/app@${SHA512}`,
    domain: 'corp.example',
    path: 'app',
    digest: SHA512,
    familiar: `corp.example/app@${SHA512}`,
  },
  // 255 characters bind the path alone; library/ counts, domain and tag do not.
  {
    input: `${'n'.repeat(247)}:tag`,
    domain: 'docker.io',
    path: SEGMENTS_255,
    tag: 'tag',
    familiar: `${'n'.repeat(247)}:tag`,
  },
  {
    input: `registry.corp.example/${'n'.repeat(255)}`,
    domain: 'registry.corp.example',
    path: 'n'.repeat(255),
    familiar: `registry.corp.example/${'n'.repeat(255)}`,
  },
  // 64 hexadecimal digits are an ID only when they stand alone.
  {
    input: `docker.io/${HEX}`,
    domain: 'docker.io',
    path: `library/${HEX}`,
    familiar: HEX,
  },
  { input: `${HEX}0`, domain: 'docker.io', path: `library/${HEX}0`, familiar: `${HEX}0` },
  {
    input: `sha256:${HEX}`,
    domain: 'docker.io',
    path: 'library/sha256',
    tag: HEX,
    familiar: `sha256:${HEX}`,
  },
]

describe('parseNormalized', () => {
  for (const { input, domain, path, tag, digest, familiar } of ROWS) {
    test(`reads ${input.slice(0, 60)} as ${domain} and ${path.slice(0, 40)}`, () => {
      const reference = parseNormalized(input)

      assert.deepEqual(reference, { domain, path, tag, digest })
      assert.equal(familiarReference(reference), familiar)
    })
  }
})

describe('withDefaultTag', () => {
  test('adds latest where there is neither tag nor digest', () => {
    assert.equal(withDefaultTag(parseNormalized('nginx')).tag, 'latest')
  })

  test('leaves a tag and a digest alone', () => {
    assert.equal(withDefaultTag(parseNormalized('nginx:1')).tag, '1')
    assert.equal(withDefaultTag(parseNormalized(`nginx@${SHA256}`)).tag, undefined)
  })
})

describe('dockerRef', () => {
  const cases = [
    ['nginx', 'docker.io/library/nginx:latest'],
    ['nginx:1', 'docker.io/library/nginx:1'],
    [`nginx@${SHA256}`, `docker.io/library/nginx@${SHA256}`],
    [`nginx:1@${SHA256}`, `docker.io/library/nginx@${SHA256}`],
  ] as const
  for (const [input, expected] of cases) {
    test(`makes ${expected.slice(0, 40)} of ${input.slice(0, 20)}`, () => {
      assert.equal(formatReference(dockerRef(parseNormalized(input))), expected)
    })
  }
})

describe('parseReference', () => {
  test('keeps tag and digest and fills in the default tag', () => {
    assert.equal(
      formatReference(parseReference(`nginx:1@${SHA256}`)),
      `docker.io/library/nginx:1@${SHA256}`,
    )
    assert.equal(formatReference(parseReference('nginx')), 'docker.io/library/nginx:latest')
  })

  for (const input of [HEX, SHA256]) {
    test(`refuses the image ID ${input.slice(0, 10)}…`, () => {
      assert.throws(() => parseReference(input), {
        name: 'ResolveError',
        code: 'NAME_INVALID',
        message: /is an image ID/,
      })
    })
  }
})

describe('isImageId', () => {
  test('knows 64 lower-case digits, bare or after sha256:', () => {
    assert.equal(isImageId(HEX), true)
    assert.equal(isImageId(SHA256), true)
  })

  for (const input of ['nginx', HEX.slice(1), `${HEX}0`, HEX.toUpperCase(), `sha256:${HEX}0`]) {
    test(`does not take ${input.slice(0, 12)}… (${input.length} characters) for one`, () => {
      assert.equal(isImageId(input), false)
    })
  }

  test('does not take a sha512 digest or a name with a digest for one', () => {
    assert.equal(isImageId(SHA512), false)
    assert.equal(isImageId(`nginx@${SHA256}`), false)
  })
})

test('repositoryName is domain and path alone', () => {
  assert.equal(repositoryName(parseNormalized('nginx:1')), 'docker.io/library/nginx')
})

/** What is written, and what the message must say about it. */
const MISTAKES: readonly (readonly [string, RegExp])[] = [
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
  ['BAD..NAME', /^"BAD\.\.NAME" in the repository name of "BAD\.\.NAME" is not valid: lower-case/],
  ['corp.example/A/b__C/..', /^"A" in the repository name/],
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
  for (const [input, message] of MISTAKES) {
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
