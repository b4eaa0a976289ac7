import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ResolveError } from '../../src/errors.ts'
import type { ImageIdentity } from '../../src/registry/image.ts'
import { entry, identity, nginx, type Reply, registriesOf } from '../support/resolver.ts'
import { resolverScene } from '../support/resolver-scene.ts'

type Has = 'a' | 'b' | 'nothing'

const casts = fc.array(
  fc.record({
    has: fc.constantFrom<Has>('a', 'a', 'b', 'nothing'),
    /** Within the budget of every registry, so that no answer is missed. */
    delays: fc.tuple(fc.integer({ min: 0, max: 1_900 }), fc.integer({ min: 0, max: 1_900 })),
  }),
  { minLength: 1, maxLength: 6 },
)

interface Play {
  readonly has: Has
  readonly delayMs: number
}

function reply({ delayMs, has }: Play, after: (ms: number, run: () => void) => unknown): Reply {
  return () =>
    new Promise<ImageIdentity>((resolve, reject) => {
      after(delayMs, () => {
        if (has !== 'nothing') resolve(identity(has))
        else reject(new ResolveError('MANIFEST_UNKNOWN', 'not there', { status: 404 }))
      })
    })
}

/** What everybody says, in the order in which they say it, and what is made of it. */
async function survey(cast: readonly Play[]) {
  const replies: Record<string, Reply> = {}
  const scene = resolverScene(replies)
  const after = (ms: number, run: () => void) => scene.clock.after(ms, run)
  for (const [index, play] of cast.entries()) replies[`m${index}`] = reply(play, after)
  replies['docker.io'] = reply({ has: 'nothing', delayMs: 0 }, after)
  scene.state.registries = registriesOf(cast.map((_, index) => entry(`m${index}`)))
  const surveyed = scene.resolver.resolve(nginx(), { all: true }).then(
    ({ candidates = [], digest, references, registry }) => {
      const told = candidates.map(({ registry: name, chosen, digest: said, divergent }) => {
        return { name, chosen, said, divergent }
      })
      return { digest, references, registry, told }
    },
    (error: unknown) => (error as ResolveError).code,
  )
  await scene.clock.advance(20_001)
  return surveyed
}

test('what all registries say is ranked and marked alike, in whatever order it arrives', async () => {
  let answered = 0
  await fc.assert(
    fc.asyncProperty(casts, async (cast) => {
      const [one, other] = await Promise.all(
        ([0, 1] as const).map((ticket) =>
          survey(cast.map(({ delays, has }) => ({ has, delayMs: delays[ticket] }))),
        ),
      )

      assert.deepEqual(one, other)
      if (typeof one === 'object') answered += 1
    }),
    { numRuns: 150 },
  )
  assert.ok(answered > 50, `${answered} answers were compared`)
})
