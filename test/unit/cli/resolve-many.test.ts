import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { parseTemplate } from '../../../src/cli/commands/resolve.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { type Attempt, type ErrorCode, ResolveError } from '../../../src/errors.ts'
import { parseReference } from '../../../src/reference/reference.ts'
import type { Answer } from '../../../src/resolver/types.ts'
import { unresolvedError } from '../../../src/resolver/unresolved-error.ts'
import { openedResolver, runCli } from '../../support/cli.ts'
import { digestOf, identity } from '../../support/resolver.ts'

function answerFor(requested: string): Answer {
  const { domain, path, tag = 'latest' } = parseReference(requested)
  return {
    ...identity(requested),
    requested,
    reference: `${domain}/${path}:${tag}`,
    references: [],
    registry: domain,
    source: 'registry',
    resolvedAt: 0,
    expiresAt: 60_000,
    attempts: [],
  }
}

/** A context in which some references fail with a code; what was asked is written down. */
function contextWith(failures: Readonly<Record<string, ErrorCode>>, input = '') {
  const asked: string[] = []
  const context: Partial<CliContext> = {
    stdin: Readable.from([Buffer.from(input)]),
    resolver: openedResolver({
      askedFor: () => ['hub:5000'],
      answer: async (reference) => {
        asked.push(reference)
        // Those that come first take longest.
        for (let turn = 0; turn < 20 - asked.length; turn += 1) await new Promise(setImmediate)
        const code = failures[reference]
        if (code !== undefined) throw new ResolveError(code, `${reference} fails`)
        return answerFor(reference)
      },
      close: async () => {},
    }),
  }
  return { context, asked }
}

test('resolve --quiet prints one digest a line, in the order of the references', async () => {
  const names = ['nginx', 'quay.io/a/b:1', 'redis:7']
  const { context } = contextWith({})

  const { code, out, err } = await runCli(['resolve', '-q', ...names], context)

  assert.deepEqual([code, err], [0, ''])
  assert.equal(out, names.map((name) => `${identity(name).digest}\n`).join(''))
})

test('resolve - reads references from standard input, one a line, and passes over empty lines', async () => {
  const { context, asked } = contextWith({}, 'nginx\n\n  redis:7 \r\nbusybox')

  const { code, out } = await runCli(['resolve', 'first', '-', '--quiet'], context)

  assert.equal(code, 0)
  assert.deepEqual(asked, ['first', 'nginx', 'redis:7', 'busybox'])
  assert.equal(out.split('\n').length, 5)
})

test('the beginning of a line that is too long is not taken for a reference', async () => {
  const { context, asked } = contextWith({}, `nginx${' '.repeat(70_000)}\n`)

  await runCli(['resolve', '-'], context)

  assert.throws(() => parseReference(asked[0] ?? ''))
})

test('a standard input without references is wrong use, if none was given beside it', async () => {
  for (const input of ['', '\n \n']) {
    const { code, out, err } = await runCli(['resolve', '-'], contextWith({}, input).context)

    assert.deepEqual([code, out], [2, ''])
    assert.match(
      err,
      /^image-resolver: standard input has no reference; resolve - reads one a line\n/,
    )
  }
  assert.equal((await runCli(['resolve', 'nginx', '-'], contextWith({}).context)).code, 0)
})

test('of several, JSON has one line each, as POST /resolve has, failures too', async () => {
  const { context } = contextWith({ nope: 'MANIFEST_UNKNOWN' })

  const { out, err } = await runCli(['resolve', 'nginx', 'nope', '--json'], context)

  const [first, second] = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(err, '')
  assert.equal(first.requested, 'nginx')
  assert.equal(first.answer.digest, identity('nginx').digest)
  assert.deepEqual(second, {
    requested: 'nope',
    error: { errors: [{ code: 'MANIFEST_UNKNOWN', message: 'nope fails', detail: {} }] },
  })
})

test('for people, answers stand apart and failures go to standard error', async () => {
  const { context } = contextWith({ nope: 'MANIFEST_UNKNOWN' })

  const { out, err } = await runCli(['resolve', 'nginx', 'nope', 'redis'], context)

  assert.match(out, /^reference +docker\.io\/library\/nginx:latest\n[^\0]*\n\nreference +\S+redis/)
  assert.equal(err, 'image-resolver: nope fails [MANIFEST_UNKNOWN]\n')
})

const ENDS: readonly (readonly [Readonly<Record<string, ErrorCode>>, number])[] = [
  [{}, 0],
  [{ a: 'MANIFEST_UNKNOWN' }, 4],
  [{ a: 'MANIFEST_UNKNOWN', b: 'PLATFORM_UNKNOWN' }, 4],
  [{ a: 'UNAVAILABLE', b: 'DEADLINE_EXCEEDED' }, 6],
  [{ a: 'MANIFEST_UNKNOWN', b: 'UNAVAILABLE' }, 1],
]

for (const [failures, expected] of ENDS) {
  test(`the exit code of several is the one that all failures share: ${JSON.stringify(failures)}`, async () => {
    const { context } = contextWith(failures)

    assert.equal((await runCli(['resolve', 'a', 'b', 'c', '-q'], context)).code, expected)
  })
}

test('--format prints fields of the answer, in any case, and a dash for what is unknown', () => {
  const answer: Answer = { ...answerFor('quay.io/a/b:1'), mediaType: undefined }
  const format = (template: string) => parseTemplate(template)(answer)

  assert.equal(format('{{.repository}}@{{.Digest}}'), `quay.io/a/b@${answer.digest}\n`)
  assert.equal(format('{{ imageid }}\\t{{.mediaType}}'), `${answer.imageId}\t-\n`)
  assert.equal(format('{{.pullFrom}}'), '-\n')
  for (const wrong of ['{{.nope}}', '{{', '{{.digest', '{{json .}}', '}}']) {
    assert.throws(() => parseTemplate(wrong), { name: 'UsageError' }, wrong)
  }
})

test('--quiet prints the ID of an image of which only the node knows', async () => {
  const { context } = contextWith({})
  const resolver = openedResolver({
    askedFor: () => [],
    answer: async (reference) => ({ ...answerFor(reference), digest: undefined }),
    close: async () => {},
  })

  const { out } = await runCli(['resolve', '-q', 'nginx'], { ...context, resolver })

  assert.equal(out, `${identity('nginx').imageId}\n`)
})

test('the message of each registry is printed once', async () => {
  const attempts: readonly Attempt[] = [
    {
      registry: 'hub:5000',
      step: 'manifest',
      outcome: 'not_found',
      status: 404,
      ms: 2,
      message: 'hub:5000: manifest unknown to it',
    },
    {
      registry: 'quay.io',
      step: 'connect',
      outcome: 'unreachable',
      ms: 1_200,
      message: 'quay.io: no such host',
    },
  ]
  const error = unresolvedError('quay.io/a/b:1', [new ResolveError('UNAVAILABLE', '')], attempts)
  const resolver = openedResolver({
    askedFor: () => [],
    answer: async () => {
      throw error
    },
    close: async () => {},
  })
  const node: CliContext['node'] = async () => ({
    pull: async () => {
      throw error
    },
    list: async () => [],
    layers: async () => undefined,
    named: async () => assert.fail(),
    remove: async () => {},
    close: () => {},
  })

  for (const command of ['resolve', 'pull']) {
    const { err } = await runCli([command, 'quay.io/a/b:1'], { resolver, node })

    assert.equal(
      err,
      [
        'image-resolver: quay.io/a/b:1: not resolved [UNAVAILABLE]',
        'asked',
        '  hub:5000  manifest  not_found 404  2.0 ms  manifest unknown to it',
        '  quay.io   connect   unreachable     1.2 s  no such host',
        '',
      ].join('\n'),
    )
  }
})

test('images --quiet prints the ID of each image', async () => {
  const image = {
    imageId: digestOf('node'),
    references: ['a:1', 'b:1'],
    sizeBytes: 1,
    pinned: false,
  }
  const node: CliContext['node'] = async () => ({
    pull: async () => assert.fail(),
    list: async () => [image],
    layers: async () => undefined,
    named: async () => assert.fail(),
    remove: async () => {},
    close: () => {},
  })

  assert.equal((await runCli(['images', '-q'], { node })).out, `${image.imageId}\n`)
})
