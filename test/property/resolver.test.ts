import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResolveError } from '../../src/errors.ts'
import type { Capability } from '../../src/registry/entry.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import type { Resolution } from '../../src/resolver/types.ts'
import { entry, identity, nginx, type Reply, registriesOf } from '../support/resolver.ts'
import { resolverScene } from '../support/resolver-scene.ts'

const TOTAL_MS = 20_000
const POD = { kind: 'basic', username: 'pod', password: 'secret' } as const

interface Play {
  readonly image: 'a' | 'b' | 'nothing' | 'broken' | 'never'
  readonly delayMs: number
  readonly trusted: boolean
  readonly capabilities: readonly Capability[]
}

const plays = fc.record<Play>({
  image: fc.constantFrom('a', 'a', 'b', 'nothing', 'broken', 'never'),
  delayMs: fc.integer({ min: 0, max: 4_000 }),
  trusted: fc.boolean(),
  capabilities: fc.constantFrom<readonly Capability[]>(
    ['resolve', 'pull'],
    ['resolve', 'pull'],
    ['resolve'],
    ['pull'],
  ),
})

interface Question {
  readonly cast: readonly Play[]
  readonly origin: Play
  readonly all: boolean
  readonly verifyDigest: boolean
}

const questions = fc.record<Question>({
  cast: fc.array(plays, { minLength: 1, maxLength: 4 }),
  origin: plays,
  all: fc.boolean(),
  verifyDigest: fc.boolean(),
})

async function run({ cast, origin, all, verifyDigest }: Question) {
  const served = new Map<string, Set<string>>()
  const replies: Record<string, Reply> = {}
  const scene = resolverScene(replies, { verifyDigest: () => verifyDigest })
  const reply =
    (host: string, { image, delayMs }: Play): Reply =>
    ({ reference }) =>
      new Promise<ImageIdentity>((resolve, reject) => {
        if (image === 'never') return
        scene.clock.after(delayMs, () => {
          const has = image === 'a' || image === 'b' ? identity(image) : undefined
          if (image === 'broken') reject(new ResolveError('UNAVAILABLE', 'broken'))
          else if (has === undefined || (reference !== 'latest' && reference !== has.digest)) {
            reject(new ResolveError('MANIFEST_UNKNOWN', 'not there', { status: 404 }))
          } else {
            served.set(host, (served.get(host) ?? new Set()).add(has.digest))
            resolve(has)
          }
        })
      })
  cast.forEach((play, index) => {
    replies[`m${index}`] = reply(`m${index}`, play)
  })
  replies['docker.io'] = reply('docker.io', origin)
  scene.state.registries = registriesOf(
    cast.map(({ trusted, capabilities }, index) => entry(`m${index}`, { trusted, capabilities })),
  )
  const resolving = scene.resolver.resolve(nginx(), { all, credentials: POD }).then(
    (resolution) => resolution,
    (error: unknown) => error as ResolveError,
  )
  await scene.clock.advance(TOTAL_MS + 1)
  return { ...scene, served, outcome: await resolving }
}

test('no digest is returned that its registry did not serve, and none is listed as verified', async () => {
  await fc.assert(
    fc.asyncProperty(questions, async (question) => {
      const { outcome, served } = await run(question)
      if (outcome instanceof ResolveError) return

      const resolution: Resolution = outcome
      assert.ok(served.get(resolution.registry)?.has(resolution.digest))
      for (const { registry, verified, reference } of resolution.references) {
        if (reference.includes('@')) assert.ok(reference.endsWith(`@${resolution.digest}`))
        if (verified) assert.ok(served.get(registry)?.has(resolution.digest))
      }
    }),
    { numRuns: 150 },
  )
})

test('no mirror that is not trusted is asked or listed unless the origin has the image', async () => {
  await fc.assert(
    fc.asyncProperty(questions, async (question) => {
      const { outcome, source } = await run(question)
      if (question.origin.image === 'a' || question.origin.image === 'b') return

      const distrusted = question.cast.flatMap(({ trusted }, index) =>
        trusted ? [] : [`m${index}`],
      )
      const asked = source.requests.map(({ endpoint }) => endpoint.host)
      assert.ok(!asked.some((host) => distrusted.includes(host)))
      if (outcome instanceof ResolveError) return
      assert.ok(!outcome.references.some(({ registry }) => distrusted.includes(registry)))
    }),
    { numRuns: 150 },
  )
})

test('every question ends, leaves no timer, and shows the caller’s secret to the origin alone', async () => {
  await fc.assert(
    fc.asyncProperty(questions, async (question) => {
      const { clock, outcome, source } = await run(question)

      assert.equal(clock.pendingTimers, 0)
      for (const { credentials, endpoint } of source.requests) {
        assert.equal(credentials, endpoint.host === 'docker.io' ? POD : undefined)
      }
      const reports = 'candidates' in outcome ? (outcome.candidates ?? []) : []
      assert.equal((reports as readonly unknown[]).length, question.cast.length + 1)
    }),
    { numRuns: 150 },
  )
})
