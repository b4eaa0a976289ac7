import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ErrorCode, ResolveError } from '../../../src/errors.ts'
import type { Reference } from '../../../src/reference/reference.ts'
import { Answers, type Node } from '../../../src/resolver/answers.ts'
import type { CandidateReport, Resolution, ResolveOptions } from '../../../src/resolver/types.ts'
import { UnresolvedError } from '../../../src/resolver/unresolved-error.ts'
import type { NodeImage } from '../../../src/runtime/types.ts'
import { AMD64, digestOf, identity } from '../../support/resolver.ts'

const RESOLUTION: Resolution = {
  ...identity('a'),
  reference: 'docker.io/library/nginx:latest',
  references: [],
  registry: 'm1',
  source: 'registry',
  resolvedAt: 1,
  expiresAt: 2,
  attempts: [],
  candidates: [
    {
      registry: 'm1',
      reference: 'm1/library/nginx:latest',
      priority: 500,
      origin: false,
      chosen: true,
      outcome: 'ok',
      why: 'chosen: the first in order',
      exchanges: [],
    },
  ],
}
const IMAGE: NodeImage = {
  id: digestOf('on the node'),
  repoTags: ['docker.io/library/nginx:latest'],
  repoDigests: [
    `hub:5000/library/nginx@${digestOf('h')}`,
    `docker.io/library/nginx@${digestOf('d')}`,
  ],
  size: 1n,
  pinned: false,
}
const down = new ResolveError('UNAVAILABLE', 'all down', {
  attempts: [{ registry: 'm1', step: 'connect', outcome: 'unreachable', ms: 1 }],
})

function scene(outcome: Resolution | ResolveError, image?: NodeImage | 'broken' | 'none') {
  const asked: { reference: Reference; options: ResolveOptions }[] = []
  const askedNode: string[] = []
  const node: Node = {
    async imageStatus(name) {
      askedNode.push(name)
      if (image === 'broken') throw new Error('the runtime is away')
      return image === 'none' ? undefined : image
    },
  }
  const answers = new Answers({
    resolver: {
      async resolve(reference, options = {}) {
        asked.push({ reference, options })
        if (outcome instanceof ResolveError) throw outcome
        return outcome
      },
    },
    ...(image === undefined ? {} : { node }),
    platform: AMD64,
    now: () => 7,
  })
  return { answers, asked, askedNode }
}

test('the answer is the resolution, with the question as it was written', async () => {
  const { answers, asked, askedNode } = scene(RESOLUTION, IMAGE)

  const answer = await answers.answer('nginx', {
    platform: 'linux/arm64',
    refresh: true,
    all: true,
  })

  assert.deepEqual(answer, { ...RESOLUTION, requested: 'nginx' })
  assert.equal(asked[0]?.reference.path, 'library/nginx')
  assert.equal(asked[0]?.options.platform?.architecture, 'arm64')
  assert.equal(asked[0]?.options.refresh, true)
  assert.equal(asked[0]?.options.all, true)
  assert.deepEqual(askedNode, [])
})

test('a malformed reference or platform is refused before a registry is asked', async () => {
  const { answers, asked } = scene(RESOLUTION)

  await assert.rejects(answers.answer('UPPER'), { code: 'NAME_INVALID' })
  await assert.rejects(answers.answer('nginx', { platform: '///' }), { code: 'PLATFORM_INVALID' })

  assert.deepEqual(asked, [])
})

test('credentials are chosen by the domain of the reference', async () => {
  const { answers, asked } = scene(RESOLUTION)

  await answers.answer('quay.io/team/app:1', {
    credentials: (domain) => ({ kind: 'registryToken', token: `for ${domain}` }),
  })

  assert.deepEqual(asked[0]?.options.credentials, { kind: 'registryToken', token: 'for quay.io' })
})

test('with node the runtime is asked by the whole name', async () => {
  const { answers, askedNode } = scene(RESOLUTION, IMAGE)

  const answer = await answers.answer('nginx', { node: true })

  assert.deepEqual(answer.node, { present: true, imageId: IMAGE.id })
  assert.deepEqual(askedNode, ['docker.io/library/nginx:latest'])
})

test('an image that is not on the node is said to be absent', async () => {
  const { answers } = scene(RESOLUTION, 'none')

  assert.deepEqual((await answers.answer('nginx', { node: true })).node, { present: false })
})

test('a runtime that is away takes nothing from the answer but its own part', async () => {
  const broken = scene(RESOLUTION, 'broken')
  const absent = scene(RESOLUTION)

  assert.equal((await broken.answers.answer('nginx', { node: true })).node, undefined)
  assert.equal((await absent.answers.answer('nginx', { node: true })).node, undefined)
})

test('when every registry failed the node answers, and says so', async () => {
  const { answers } = scene(down, IMAGE)

  const answer = await answers.answer('nginx')

  assert.equal(answer.source, 'node')
  assert.equal(answer.imageId, IMAGE.id)
  assert.equal(answer.digest, digestOf('d'))
  assert.equal(answer.manifestDigest, undefined)
  assert.equal(answer.expiresAt, undefined)
  assert.equal(answer.resolvedAt, 7)
  assert.deepEqual(answer.attempts, down.attempts)
  assert.deepEqual(
    answer.references.map(({ reference, kind, registry }) => `${kind} ${registry} ${reference}`),
    [
      `digest hub:5000 hub:5000/library/nginx@${digestOf('h')}`,
      `digest docker.io docker.io/library/nginx@${digestOf('d')}`,
      'tag docker.io docker.io/library/nginx:latest',
    ],
  )
})

test('the node does not answer for a registry that did, be it with a no', async () => {
  for (const [code, outcome] of [
    ['UNAUTHORIZED', 'unauthorized'],
    ['DENIED', 'denied'],
    ['MANIFEST_UNKNOWN', 'not_found'],
    ['PLATFORM_UNKNOWN', 'not_found'],
    // The most telling of several errors is that of another registry.
    ['UNAVAILABLE', 'unauthorized'],
    ['TOOMANYREQUESTS', 'not_found'],
  ] as const) {
    const refused = new ResolveError(code, 'no', {
      attempts: [...down.attempts, { registry: 'm2', step: 'manifest', outcome, ms: 1 }],
    })
    const { answers, askedNode } = scene(refused, IMAGE)

    await assert.rejects(answers.answer('nginx'), refused)

    assert.deepEqual(askedNode, [])
  }
})

test('the node answers where the only other place is at an address that is never dialled', async () => {
  const notDialled = { registry: 'm2', step: 'connect', outcome: 'denied', ms: 1 } as const
  const attempts = [...down.attempts, notDialled]

  const { answers } = scene(new ResolveError('DENIED', 'all down', { attempts }), IMAGE)

  assert.equal((await answers.answer('nginx')).source, 'node')
})

test('the node does not answer where the origin refused its consent to a mirror', async () => {
  const attempts = [
    { registry: 'm1', step: 'connect', outcome: 'skipped', ms: 0, message: 'not asked' },
  ] as const
  const reports = (code: ErrorCode) => {
    const [report] = RESOLUTION.candidates as readonly [CandidateReport]
    return [{ ...report, outcome: 'skipped' as const, error: { code, message: 'not asked' } }]
  }
  const refused = new UnresolvedError(reports('UNAUTHORIZED'), {
    cause: new ResolveError('UNAUTHORIZED', 'no consent', { attempts }),
  })
  const silent = new UnresolvedError(reports('UNAVAILABLE'), {
    cause: new ResolveError('UNAVAILABLE', 'no consent', { attempts }),
  })

  await assert.rejects(scene(refused, IMAGE).answers.answer('nginx'), refused)
  assert.equal((await scene(silent, IMAGE).answers.answer('nginx')).source, 'node')
})

test('the registries’ own error comes back when the node has nothing either, or is away', async () => {
  for (const image of ['none', 'broken', undefined] as const) {
    await assert.rejects(scene(down, image).answers.answer('nginx'), down)
  }
})

test('the node does not answer for another platform than its own', async () => {
  const { answers, askedNode } = scene(down, IMAGE)

  await assert.rejects(answers.answer('nginx', { platform: 'linux/arm64' }), down)

  assert.deepEqual(askedNode, [])
})

test('a caller that left is not answered by the node', async () => {
  const { answers, askedNode } = scene(new ResolveError('CANCELED', 'gone'), IMAGE)

  await assert.rejects(answers.answer('nginx'), { code: 'CANCELED' })

  assert.deepEqual(askedNode, [])
})

/** Answers over a cache whose one answer the test sets; what it was asked for is kept. */
function preparing() {
  const state = { known: RESOLUTION as Resolution | undefined, asked: [] as unknown[] }
  const answers = new Answers({
    resolver: {
      resolve: () => Promise.reject(new Error('only the cache is asked')),
      prepare(reference, platform, unauthenticated) {
        state.asked.push([reference.path, platform?.architecture, unauthenticated])
        return () => state.known
      },
    },
    platform: AMD64,
    now: () => 7,
  })
  return { answers, state }
}

test('a prepared question is answered by the same object until something changes', () => {
  const { answers, state } = preparing()
  const ask = answers.prepare('nginx', 'linux/arm64', true)

  const first = ask?.()
  const second = ask?.()
  state.known = { ...RESOLUTION, registry: 'm2' }
  const moved = ask?.()
  state.known = undefined
  const expired = ask?.()

  assert.equal(first, RESOLUTION)
  assert.equal(second, first)
  assert.equal(moved?.registry, 'm2')
  assert.equal(expired, undefined)
  assert.deepEqual(state.asked, [['library/nginx', 'arm64', true]])
})

test('what is no question is not prepared, nor anything where the cache cannot be asked', () => {
  const { answers, state } = preparing()
  const { answers: without } = scene(RESOLUTION)

  assert.equal(answers.prepare('UPPER', undefined), undefined)
  assert.equal(answers.prepare('nginx', '///'), undefined)
  assert.equal(without.prepare('nginx', undefined), undefined)
  assert.deepEqual(state.asked, [])
  answers.prepare('nginx', undefined)
  assert.deepEqual(state.asked, [['library/nginx', undefined, false]])
})
