import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RegistryStatus } from '../../../api/v1/registries.ts'
import type { CliContext } from '../../../src/cli/context.ts'
import { ResolveError } from '../../../src/errors.ts'
import type { Page, RegistryAccess } from '../../../src/service/open.ts'
import { runCli } from '../../support/cli.ts'

const WELL: RegistryStatus = {
  name: 'hub:5000',
  address: 'http://hub:5000',
  path: '',
  priority: 1000,
  offline: true,
  upstreams: ['*'],
  trusted: true,
  capabilities: ['resolve', 'pull'],
  credentials: true,
  healthy: true,
  use: 'in use',
  state: 'closed',
  latencyMs: 12.3,
  retryAt: null,
  lastSuccessAt: '2026-01-31T12:00:00.000Z',
  lastFailureAt: null,
  rateLimit: { remaining: 76, limit: 100 },
}
const NEVER: RegistryStatus = {
  ...WELL,
  name: 'quay.io',
  address: 'https://quay.io',
  priority: 0,
  latencyMs: null,
  lastSuccessAt: null,
  rateLimit: { remaining: 5 },
}
const SICK: RegistryStatus = {
  ...NEVER,
  name: 'harbor.corp/hub',
  address: 'https://harbor.corp/hub',
  priority: 500,
  healthy: false,
  use: 'left alone',
  state: 'open',
  retryAt: '2026-01-31T12:00:30.000Z',
  lastFailureAt: '2026-01-31T12:00:01.500Z',
  lastError: { code: 'UNAVAILABLE', message: 'harbor.corp: connect ECONNREFUSED' },
}

const ASKED: RegistryStatus = {
  ...NEVER,
  latencyMs: 250,
  lastSuccessAt: '2026-01-31T12:00:02.000Z',
}

interface Scene {
  /** What the registries say now; without `alone` also what the service has seen of them. */
  readonly statuses?: readonly RegistryStatus[]
  readonly seen?: readonly RegistryStatus[]
  readonly alone?: string
  /** By registry and repository; a registry without any has no catalogue. */
  readonly holds?: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>
}

/** A context with these registries, and what was asked of them. */
function scene({ statuses = [WELL, ASKED], seen = statuses, alone, holds = {} }: Scene = {}) {
  const opened: Parameters<CliContext['registries']>[0][] = []
  const pages: Page[] = []
  let closed = 0
  const cut = (names: readonly string[], page: Page) => {
    pages.push(page)
    const from = page.last === undefined ? 0 : names.indexOf(page.last) + 1
    const shown = names.slice(from, from + page.n)
    return { shown, next: from + page.n < names.length ? (shown.at(-1) ?? null) : null }
  }
  const registries = (direct: boolean): RegistryAccess => ({
    alone: direct ? undefined : alone,
    statuses: async () => ({
      registries: [...(direct || alone !== undefined ? statuses : seen)],
    }),
    names: async () => statuses.map(({ name }) => name),
    repositories: async (registry, page) => {
      const found = holds[registry]
      if (found === undefined) throw new ResolveError('DENIED', `${registry} has no catalogue`)
      const { shown, next } = cut(Object.keys(found), page)
      return { registry, repositories: shown, next }
    },
    tags: async (registry, repository, page) => {
      const found = holds[registry]?.[repository]
      if (found === undefined) throw new ResolveError('MANIFEST_UNKNOWN', 'it is not there')
      const { shown, next } = cut(found, page)
      return { registry, repository, tags: shown, next }
    },
    close: async () => {
      closed += 1
    },
  })
  const open: CliContext['registries'] = async (options) => {
    opened.push(options)
    return registries(options.alone)
  }
  return { context: { registries: open }, opened, pages, closed: () => closed }
}

const SOUND = { ...SICK, healthy: true, latencyMs: 3, lastSuccessAt: ASKED.lastSuccessAt }

test('registry status shows what each registry said now, and what the service makes of it', async () => {
  const { lastError: _, ...answers } = SOUND
  const { context, opened, closed } = scene({
    statuses: [WELL, { ...answers, state: 'closed', retryAt: null, lastFailureAt: null }, ASKED],
    seen: [{ ...WELL, latencyMs: 99 }, SICK, NEVER],
  })

  const { code, out, err } = await runCli(['registry', 'status', '-f', 'x'], context)

  assert.equal(code, 0)
  assert.equal(
    out,
    [
      'NAME             ADDRESS                  PRIORITY  HEALTHY  LATENCY  CHECKED               STATE            LEFT',
      'hub:5000         http://hub:5000              1000  yes        12 ms  2026-01-31 12:00:00Z  in use         76/100',
      'harbor.corp/hub  https://harbor.corp/hub       500  yes       3.0 ms  2026-01-31 12:00:02Z  left alone          5',
      '  2026-01-31 12:00:01Z UNAVAILABLE: harbor.corp: connect ECONNREFUSED',
      '  not asked again by the service before 2026-01-31 12:00:30Z',
      'quay.io          https://quay.io                 0  yes       250 ms  2026-01-31 12:00:02Z  not asked yet       5',
      '',
    ].join('\n'),
  )
  assert.equal(err, '')
  assert.deepEqual(opened, [
    { file: 'x', alone: false },
    { file: 'x', alone: true },
  ])
  assert.equal(closed(), 2)
})

test('a registry that the service never asked is not healthy when it does not answer now', async () => {
  const { context } = scene({ statuses: [SICK], seen: [{ ...NEVER, name: SICK.name }] })

  const { code, out } = await runCli(['registry', 'status'], context)

  assert.equal(code, 1)
  assert.match(out, / no +- +2026-01-31 12:00:01Z +not asked yet .*\n.* UNAVAILABLE: /)
})

test('a registry that the service alone knows, or does not know yet, is shown as unknown', async () => {
  const { context } = scene({ statuses: [WELL], seen: [ASKED] })

  const { code, out } = await runCli(['registry', 'status'], context)

  assert.equal(code, 1)
  assert.match(out, /^hub:5000 .* yes +12 ms .* not loaded yet /m)
  assert.match(out, /^quay\.io .* unknown +- +- +in use /m)
})

test('when all registries are well, registry status ends with 0', async () => {
  const { context } = scene()

  assert.equal((await runCli(['registry', 'status'], context)).code, 0)
})

test('without a service registry status says what is not known; with --check no service is asked', async () => {
  const alone = scene({ alone: 'no service answers at http://127.0.0.1:9430' })
  const told = scene()

  const found = await runCli(['registry', 'status'], alone.context)
  const checked = await runCli(['registry', 'status', '--check'], told.context)

  assert.match(
    found.err,
    /no service answers at \S+; what it makes of the registries is not known\n$/,
  )
  assert.deepEqual(alone.opened, [{ file: undefined, alone: false }])
  assert.match(found.out, /^hub:5000 .* yes .* - +76\/100$/m)
  assert.equal(checked.err, '')
  assert.deepEqual(told.opened, [{ file: undefined, alone: true }])
})

test('registry status without registries says so', async () => {
  const { context } = scene({ statuses: [], alone: 'no service' })

  const result = await runCli(['registry', 'status'], context)

  assert.deepEqual(result, {
    code: 0,
    out: '',
    err: 'image-resolver: no registry is configured\n',
  })
})

test('registry status names every state of a registry', async () => {
  const states = ['open', 'parked', 'half-open', 'closed'] as const
  const statuses = states.map((state) => ({ ...SICK, name: state, state }))

  const { out } = await runCli(['registry', 'status'], scene({ statuses }).context)

  for (const words of ['left alone', 'wants a pause', 'on probation', 'in use']) {
    assert.ok(out.includes(`  ${words}  `), words)
  }
})

test('registry status --json is the body of GET /registries with what was measured, without colours', async () => {
  const { context } = scene({ statuses: [SICK] })

  const { code, out } = await runCli(['registry', 'status', '--json'], {
    ...context,
    terminal: true,
  })

  assert.equal(code, 1)
  assert.deepEqual(JSON.parse(out), {
    registries: [{ ...SICK, checkedAt: SICK.lastFailureAt, service: 'used' }],
  })
})

test('a terminal shows healthy registries in colour', async () => {
  const { context } = scene({ statuses: [WELL, SICK] })

  const coloured = await runCli(['registry', 'status'], { ...context, terminal: true })
  const plain = await runCli(['registry', 'status'], {
    ...context,
    terminal: true,
    environment: { NO_COLOR: '1' },
  })

  assert.ok(coloured.out.includes('\u001b[32myes\u001b[39m'))
  assert.ok(coloured.out.includes('\u001b[31mno\u001b[39m'))
  assert.ok(!plain.out.includes('\u001b'))
})

test('registry images lists what all registries have, and ends with 1 when one does not say', async () => {
  const { context } = scene({ holds: { 'hub:5000': { 'library/nginx': [], 'team/app': [] } } })

  const { code, out, err } = await runCli(['registry', 'images'], context)

  assert.equal(code, 1)
  assert.equal(out, 'REGISTRY  REPOSITORY\nhub:5000  library/nginx\nhub:5000  team/app\n')
  assert.equal(err, 'image-resolver: quay.io has no catalogue\n')
})

test('registry images of one registry follows its pages up to the limit, and says that it stops there', async () => {
  const names = Array.from({ length: 2_500 }, (_, index) => `app-${index}`)
  const holds = { 'hub:5000': Object.fromEntries(names.map((name) => [name, []])) }
  const all = scene({ holds })
  const some = scene({ holds })

  const whole = await runCli(['registry', 'images', 'hub:5000', '--json'], all.context)
  const cut = await runCli(
    ['registry', 'images', 'hub:5000', '--json', '--limit', '1001'],
    some.context,
  )

  assert.equal(whole.code, 0)
  assert.deepEqual(JSON.parse(whole.out), { registry: 'hub:5000', repositories: names, next: null })
  assert.equal(whole.err, '')
  assert.deepEqual(all.pages, [
    { n: 1000 },
    { n: 1000, last: 'app-999' },
    { n: 1000, last: 'app-1999' },
  ])
  assert.equal(JSON.parse(cut.out).repositories.length, 1001)
  assert.equal(JSON.parse(cut.out).next, 'app-1000')
  assert.match(cut.err, /hub:5000: there are more than 1001; --limit/)
})

test('registry images --json of several registries is a line for each', async () => {
  const { context } = scene({ holds: { 'hub:5000': { a: [] }, 'quay.io': { b: [] } } })

  const { out } = await runCli(['registry', 'images', '--json'], context)

  assert.deepEqual(
    out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).repositories),
    [['a'], ['b']],
  )
})

test('registry tags prints one a line, or the body of the API', async () => {
  const { context } = scene({ holds: { 'hub:5000': { 'library/nginx': ['1.27', 'latest'] } } })

  const people = await runCli(['registry', 'tags', 'hub:5000', 'library/nginx'], context)
  const scripts = await runCli(['registry', 'tags', 'hub:5000', 'library/nginx', '--json'], context)

  assert.deepEqual(people, { code: 0, out: '1.27\nlatest\n', err: '' })
  assert.deepEqual(JSON.parse(scripts.out), {
    registry: 'hub:5000',
    repository: 'library/nginx',
    tags: ['1.27', 'latest'],
    next: null,
  })
})

test('a repository that is not there ends registry tags with 4', async () => {
  const { context, closed } = scene({ holds: { 'hub:5000': {} } })

  const { code, err } = await runCli(['registry', 'tags', 'hub:5000', 'nope'], context)

  assert.equal(code, 4)
  assert.equal(err, 'image-resolver: it is not there\n')
  assert.equal(closed(), 1)
})

test('wrong use of the registry commands ends with 2 and teaches the right one', async () => {
  const usage = 'Usage: image-resolver registry'
  const mistakes: readonly (readonly [readonly string[], string])[] = [
    [['registry'], `registry needs a word after it\n${usage} status|images|tags`],
    [['registry', 'stauts'], `registry stauts; did you mean registry status?\n${usage} status|`],
    [['registry', 'nope'], `no command registry nope\n${usage} status|`],
    [['registry', 'status', 'x'], `registry status takes no words after it\n${usage} status `],
    [
      ['registry', 'tags', 'x'],
      `takes the name of a registry and a repository there\n${usage} tags`,
    ],
    [['registry', 'images', '--check'], 'registry images has no option --check'],
    [['registry', 'images', '--limit', '0'], `from 1 to 1000000\n${usage} images`],
    [['registry', 'images', '--limit', 'all'], '--limit is a number from 1 to 1000000'],
  ]
  for (const [args, expected] of mistakes) {
    const { code, err } = await runCli(args)

    assert.equal(code, 2, args.join(' '))
    assert.ok(err.includes(expected), err)
  }
})

test('waiting for a registry shows its name, with a running clock', async () => {
  const { context } = scene({ holds: { 'hub:5000': { 'library/nginx': ['latest'] } } })
  const every = (_ms: number, run: () => void) => {
    run()
    return () => {}
  }

  const { err } = await runCli(['registry', 'tags', 'hub:5000', 'library/nginx'], {
    ...context,
    every,
  })

  assert.equal(err, 'image-resolver: still waiting for hub:5000 (1 s)\n')
})
