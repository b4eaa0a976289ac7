import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { PassThrough, Readable } from 'node:stream'
import { test } from 'node:test'
import type { ImageRecord } from '../../../api/v1/images.ts'
import { VERSION } from '../../../api/version.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { run } from '../../../src/cli/run.ts'
import { ResolveError } from '../../../src/errors.ts'
import type { Answer, CandidateReport } from '../../../src/resolver/types.ts'
import { UnresolvedError } from '../../../src/resolver/unresolved-error.ts'
import { openedResolver, runCli } from '../../support/cli.ts'
import { digestOf, identity } from '../../support/resolver.ts'

const ANSWER: Answer = {
  ...identity('a'),
  requested: 'nginx',
  reference: 'docker.io/library/nginx:latest',
  references: [
    {
      reference: `hub:5000/library/nginx@${identity('a').digest}`,
      kind: 'digest',
      registry: 'hub:5000',
      priority: 1000,
      verified: true,
    },
  ],
  registry: 'hub:5000',
  source: 'registry',
  resolvedAt: 0,
  expiresAt: 60_000,
  node: { present: true, imageId: digestOf('node') },
  attempts: [{ registry: 'hub:5000', step: 'manifest', outcome: 'ok', status: 200, ms: 3.4 }],
}

const REPORT: CandidateReport = {
  registry: 'hub:5000',
  reference: 'hub:5000/library/nginx:latest',
  priority: 1000,
  origin: false,
  chosen: true,
  outcome: 'ok',
  why: 'chosen: the first in order',
  startedMs: 0,
  ms: 12,
  exchanges: [],
}

const ON_NODE: ImageRecord = {
  imageId: digestOf('node'),
  references: [`docker.io/library/nginx@${digestOf('d')}`, 'docker.io/library/nginx:latest'],
  sizeBytes: 1234,
  pinned: false,
}

async function cli(args: readonly string[], outcome: Answer | Error = ANSWER, input = '') {
  const stdout = new PassThrough()
  const stderr = new PassThrough()
  const calls: unknown[] = []
  let closed = 0
  const context: CliContext = {
    stdin: Readable.from([input]),
    stdout,
    stderr,
    environment: {},
    registries: async () => assert.fail('no registries were to be asked for'),
    examine: async () => assert.fail('this node was not to be looked at'),
    stats: async () => assert.fail('no numbers were to be asked for'),
    fleet: async () => assert.fail('no store was to be asked'),
    readiness: async () => assert.fail('no readiness was to be asked for'),
    serve: async (options) => {
      calls.push({ serve: options })
      return 0
    },
    names: async () => assert.fail('no names were to be asked for'),
    resolver: async (options) => {
      calls.push({ resolver: options })
      const open = openedResolver({
        askedFor: () => ['hub:5000'],
        answer: async (reference, asked) => {
          calls.push({ reference, asked })
          if (outcome instanceof Error) throw outcome
          return outcome
        },
        close: async () => {
          closed += 1
        },
      })
      return open()
    },
    node: async (options) => {
      calls.push({ node: options })
      return {
        pull: async (image) => {
          calls.push({ pull: image })
          if (outcome instanceof Error) throw outcome
          return digestOf('node')
        },
        list: async () => [ON_NODE],
        layers: async () => undefined,
        named: async () => assert.fail(),
        remove: async (image) => {
          calls.push({ remove: image })
        },
        close: () => {
          closed += 1
        },
      }
    },
  }
  const code = await run(args, context)
  const text = (stream: PassThrough): string => String(stream.read() ?? '')
  return { code, out: text(stdout), err: text(stderr), calls, closed }
}

test('without a command the service is run, with the file by any of its three names', async () => {
  for (const args of [
    ['--config', 'x'],
    ['-f', 'x'],
    ['--file', 'x'],
    ['serve', '--config=x'],
  ]) {
    const { code, calls } = await cli(args)

    assert.equal(code, 0)
    assert.deepEqual(calls, [{ serve: { file: 'x' } }])
  }
  assert.deepEqual((await cli([])).calls, [{ serve: { file: undefined } }])
})

test('a portoshim.yaml is handed on to what reads the configuration, and to nothing else', async () => {
  const served = await cli(['--portoshim', 'p.yaml'])
  const resolved = await cli(['resolve', 'nginx', '-f', 'x', '--portoshim', 'p.yaml'])
  const pulled = await cli(['pull', 'nginx', '--portoshim', 'p.yaml'])

  assert.deepEqual(served.calls, [{ serve: { file: undefined, portoshim: 'p.yaml' } }])
  assert.deepEqual(resolved.calls[0], { resolver: { file: 'x', portoshim: 'p.yaml' } })
  assert.equal(pulled.code, 2)
  assert.match(pulled.err, /pull has no option --portoshim/)
})

test('resolve prints the answer for people', async () => {
  const { code, out, calls, closed } = await cli(['resolve', 'nginx', '--node', '--explain'])

  assert.equal(code, 0)
  assert.match(out, /^reference +docker\.io\/library\/nginx:latest$/m)
  assert.match(out, new RegExp(`^image ID +${ANSWER.imageId}$`, 'm'))
  assert.match(out, new RegExp(`^on the node +${digestOf('node')}$`, 'm'))
  assert.match(out, /^ {2}hub:5000\/library\/nginx@sha256:\w+$/m)
  assert.match(out, /^ {2}hub:5000 +manifest +ok 200 +3\.4 ms$/m)
  assert.deepEqual(calls.at(-1), { reference: 'nginx', asked: { node: true } })
  assert.equal(closed, 1)
})

test('resolve --explain shows every candidate as a tree, and --all asks every registry', async () => {
  const { out, calls } = await cli(['resolve', 'nginx', '--all'], {
    ...ANSWER,
    candidates: [REPORT],
  })

  assert.match(out, /^└─ hub:5000\/library\/nginx:latest +\+0 ms +12 ms$/m)
  assert.match(out, /^ {3}└─ chosen: the first in order$/m)
  assert.deepEqual(calls.at(-1), { reference: 'nginx', asked: { node: false, all: true } })
})

test('a failure shows its trace too, as a tree or as JSON', async () => {
  const error = new UnresolvedError(
    [{ ...REPORT, chosen: false, why: 'passed over: it refuses' }],
    {
      cause: new ResolveError('DENIED', 'nobody may', { attempts: ANSWER.attempts }),
    },
  )

  const tree = await cli(['resolve', 'nginx', '--explain'], error)
  const plain = await cli(['resolve', 'nginx'], error)
  const json = await cli(['resolve', 'nginx', '--explain', '--json'], error)

  assert.match(
    tree.err,
    /nobody may \[DENIED\]\nasked\n└─ hub:5000.*\n {3}└─ passed over: it refuses/,
  )
  assert.match(plain.err, /^ {2}hub:5000 +manifest +ok 200/m)
  const [{ detail }] = JSON.parse(json.out).errors
  assert.equal(detail.candidates[0].why, 'passed over: it refuses')
  assert.equal(detail.attempts.length, 1)
})

test('resolve --json prints what GET /resolve answers', async () => {
  const { out, calls } = await cli(['resolve', 'nginx', '--json', '--platform', 'linux/arm64'])

  const body = JSON.parse(out)
  assert.equal(body.imageId, ANSWER.imageId)
  assert.equal(body.expiresAt, '1970-01-01T00:01:00.000Z')
  assert.equal('attempts' in body, false)
  assert.deepEqual(calls.at(-1), {
    reference: 'nginx',
    asked: { node: false, platform: 'linux/arm64' },
  })
})

test('an image that is not found ends with 4, and with what each registry said', async () => {
  const error = new ResolveError('MANIFEST_UNKNOWN', 'nginx: hub:5000: not found', {
    attempts: [
      { registry: 'hub:5000', step: 'manifest', outcome: 'not_found', status: 404, ms: 2 },
    ],
  })

  const people = await cli(['resolve', 'nginx'], error)
  const scripts = await cli(['resolve', 'nginx', '--json'], error)

  assert.equal(people.code, 4)
  assert.match(people.err, /nginx: hub:5000: not found \[MANIFEST_UNKNOWN\]/)
  assert.match(people.err, /hub:5000 +manifest +not_found 404 +2\.0 ms/)
  assert.equal(scripts.code, 4)
  const { errors } = JSON.parse(scripts.out)
  assert.equal(errors[0].code, 'MANIFEST_UNKNOWN')
  assert.equal(errors[0].detail.attempts.length, 1)
  assert.equal(scripts.closed, 1)
})

test('parse reads standard input, one reference a line', async () => {
  const { code, out } = await cli(['parse', '--json'], ANSWER, 'nginx\nquay.io/a/b:1\n')

  const rows = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(code, 0)
  assert.deepEqual(
    rows.map(({ reference }) => reference),
    ['docker.io/library/nginx:latest', 'quay.io/a/b:1'],
  )
})

test('pull prints the ID of the image, and fails with the words of the runtime', async () => {
  const pulled = await cli(['pull', 'nginx', '-f', 'x'])
  const failed = await cli(['pull', 'nginx'], new ResolveError('UNKNOWN', 'failed to pull nginx'))

  assert.equal(pulled.code, 0)
  assert.equal(pulled.out, `${digestOf('node')}\n`)
  assert.deepEqual(pulled.calls, [{ node: { file: 'x' } }, { pull: 'nginx' }])
  assert.equal(failed.code, 1)
  assert.match(failed.err, /failed to pull nginx/)
  assert.equal(failed.closed, 1)
  assert.equal((await cli(['pull', 'nginx', '--json'])).out, `{"imageId":"${digestOf('node')}"}\n`)
})

test('with --json a failure of any command is the body that the HTTP API has for it', async () => {
  const error = new ResolveError('MANIFEST_UNKNOWN', 'nginx: not found', {
    attempts: [{ registry: 'hub:5000', step: 'manifest', outcome: 'not_found', ms: 2 }],
  })
  const unreachable = async () => {
    throw new ResolveError('UNAVAILABLE', 'no service answers')
  }

  const pulled = await cli(['pull', 'nginx', '--json'], error)
  const commands = [
    ['images'],
    ['stats'],
    ['adopt'],
    ['resolve', 'nginx'],
    ['registry', 'status'],
    ['registry', 'images'],
    ['registry', 'tags', 'hub:5000', 'nginx'],
  ]

  assert.deepEqual([pulled.code, pulled.err], [4, ''])
  const [{ code, message, detail }] = JSON.parse(pulled.out).errors
  assert.deepEqual([code, message], ['MANIFEST_UNKNOWN', 'nginx: not found'])
  assert.equal(detail.attempts.length, 1)
  for (const command of commands) {
    const failed = await runCli([...command, '--json'], {
      resolver: unreachable,
      names: unreachable,
      node: unreachable,
      registries: unreachable,
      stats: unreachable,
    })
    assert.deepEqual([failed.code, failed.err], [6, ''], command.join(' '))
    assert.deepEqual(
      JSON.parse(failed.out),
      { errors: [{ code: 'UNAVAILABLE', message: 'no service answers', detail: {} }] },
      command.join(' '),
    )
  }
})

test('what is no reference ends with 3 before anything is asked', async () => {
  const pulled = await cli(['pull', 'NGINX'])
  const json = await cli(['pull', 'NGINX', '--json'])
  const removed = await cli(['rmi', 'nginx', 'NGINX'])

  for (const { calls, code } of [pulled, json, removed]) assert.deepEqual([code, calls], [3, []])
  assert.match(pulled.err, /"NGINX" has upper-case/)
  assert.equal(JSON.parse(json.out).errors[0].code, 'NAME_INVALID')
})

test('rmi removes images by ID, whole or its beginning', async () => {
  const ids = [digestOf('node'), digestOf('node').slice('sha256:'.length), '0123456789ab']

  const { calls, code } = await cli(['rmi', ...ids])

  assert.equal(code, 0)
  assert.deepEqual(
    calls.slice(1),
    ids.map((remove) => ({ remove })),
  )
})

test('rmi removes every image that is named', async () => {
  const { code, calls, closed } = await cli(['rmi', 'a', 'b'])

  assert.equal(code, 0)
  assert.deepEqual(calls.slice(1), [{ remove: 'a' }, { remove: 'b' }])
  assert.equal(closed, 1)
})

test('wrong use ends with 2, says what is meant, and where more stands', async () => {
  const resolve =
    'Usage: image-resolver resolve REF ... [options]\nimage-resolver resolve --help says more\n'
  const several =
    'resolve takes a reference, as in nginx:latest, or several, or - for standard input'
  const mistakes: readonly (readonly [readonly string[], string])[] = [
    [['resolve'], `${several}\n${resolve}`],
    [
      ['resolve', 'a', '-q', '--format', 'x'],
      `--quiet and --format exclude each other\n${resolve}`,
    ],
    [
      ['resolve', 'a', '--format', '{{.diggest}}'],
      `--format has no field diggest; there are requested, reference, repository, imageId, digest, manifestDigest, mediaType, platform, registry, source, pullFrom\n${resolve}`,
    ],
    [
      ['resolve', '--explian', 'a'],
      `there is no option --explian; did you mean --explain?\n${resolve}`,
    ],
    [['resolve', 'a', '--limit', '3'], `resolve has no option --limit\n${resolve}`],
    [['resolve', 'a', '-f'], `-f, --config needs a value after it\n${resolve}`],
    [
      ['config'],
      'config needs a word after it\nUsage: image-resolver config check [options]\nimage-resolver config --help says more\n',
    ],
    [
      ['config', 'chek'],
      'there is no command config chek; did you mean config check?\nUsage: image-resolver config check [options]\nimage-resolver config --help says more\n',
    ],
    [['nginx:latest'], 'there is no command nginx:latest\nimage-resolver --help says more\n'],
    [['constructor'], 'there is no command constructor\nimage-resolver --help says more\n'],
    [['__proto__', '-h'], 'there is no command __proto__\nimage-resolver --help says more\n'],
    [
      ['reslove', 'x'],
      'there is no command reslove; did you mean resolve?\nimage-resolver --help says more\n',
    ],
    [
      ['tags'],
      'there is no command tags; did you mean registry tags?\nimage-resolver --help says more\n',
    ],
    [
      ['version'],
      'there is no command version; did you mean --version?\nimage-resolver --help says more\n',
    ],
    [
      ['help', 'reslove'],
      'there is no command reslove; did you mean resolve?\nimage-resolver --help says more\n',
    ],
    [
      ['reslove', '--help'],
      'there is no command reslove; did you mean resolve?\nimage-resolver --help says more\n',
    ],
    [
      ['serve', 'x'],
      'serve takes no words after it\nUsage: image-resolver [serve] [options]\nimage-resolver serve --help says more\n',
    ],
  ]
  for (const [args, expected] of mistakes) {
    const { code, err, calls } = await cli(args)

    assert.equal(code, 2, args.join(' '))
    assert.equal(err, `image-resolver: ${expected}`)
    assert.deepEqual(calls, [])
  }
})

test('what is mistyped cannot write on the terminal', async () => {
  const { err } = await cli(['a\u001b[31m', '--x\u001b[31m'])

  assert.ok(!err.includes('\u001b'))
})

test('a bad configuration ends with 2', async () => {
  const { code, err } = await cli(['config', 'check', '--config', '/nonexistent/file.yaml'])

  assert.equal(code, 2)
  assert.match(err, /\/nonexistent\/file\.yaml: there is no such file/)
})

test('the version is the one of the package', async () => {
  const { version } = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  )

  assert.equal((await cli(['--version'])).out, `${version}\n`)
  assert.equal(VERSION, version)
})

test('with --json a second way to print is refused as JSON', async () => {
  const { code, out, err } = await cli(['resolve', 'nginx', '--json', '--quiet'])

  assert.equal(code, 2)
  assert.equal(JSON.parse(out).errors[0].message, '--json and --quiet exclude each other')
  assert.equal(err, '')
})

for (const args of [
  ['resolve', '--json'],
  ['stats', 'words', '--json'],
  ['registry', '--json'],
  ['registry', 'tags', 'hub', '--json'],
  ['resolv', 'nginx', '--json'],
  ['images', '--json', '--bogus'],
  ['images', '--json', '--explain'],
  ['registry', 'images', '--json', '--limit', '0'],
  ['registry', 'images', '--json', '--limit'],
  ['help', 'nope', '--json'],
]) {
  test(`with --json wrong use is a failure as any other: ${args.join(' ')}`, async () => {
    const { code, out, err } = await cli(args)

    assert.equal(code, 2)
    assert.equal(err, '')
    const { errors } = JSON.parse(out)
    assert.equal(errors.length, 1)
    assert.equal(errors[0].code, 'REQUEST_INVALID')
    assert.deepEqual(errors[0].detail, {})
    const text = await cli(args.filter((each) => each !== '--json'))
    assert.equal(text.code, 2)
    assert.equal(text.err.split('\n')[0], `image-resolver: ${errors[0].message}`)
  })
}
