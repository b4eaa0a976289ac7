import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Capability } from '../../src/registry/entry.ts'
import { rankReferences, type Standing } from '../../src/resolver/candidates.ts'
import { candidate, digestOf, entry, nginx } from '../support/resolver.ts'

const CAPABILITIES: readonly (readonly Capability[] | undefined)[] = [
  undefined,
  ['resolve', 'pull'],
  ['resolve'],
  ['pull'],
]

const casts = fc.array(
  fc.record({
    standing: fc.constantFrom<Standing>('verified', 'assumed', 'refuted'),
    capabilities: fc.constantFrom(...CAPABILITIES),
  }),
  { maxLength: 8 },
)

test('references come in one order, whatever the order in which answers arrived', () => {
  fc.assert(
    fc.property(casts, fc.boolean(), (cast, pinned) => {
      const standings = new Map<string, Standing>()
      const candidates = cast.map(({ capabilities, standing }, index) => {
        const name = `m${index}`
        standings.set(name, standing)
        const by = entry(name, capabilities === undefined ? {} : { capabilities })
        return candidate(name, { entry: by })
      })
      const reference = nginx(pinned ? { digest: digestOf('d') } : {})

      const ranked = rankReferences(
        reference,
        digestOf('d'),
        candidates,
        ({ registry }) => standings.get(registry) ?? 'refuted',
      )

      const places = ranked.map(({ kind, verified, registry }) => [
        kind === 'digest' ? 0 : 1,
        verified ? 0 : 1,
        Number(registry.slice(1)),
      ])
      for (const [index, place] of places.entries()) {
        const next = places[index + 1]
        if (next !== undefined) assert.ok(isBefore(place, next), `${place} before ${next}`)
      }
      for (const { kind, registry, verified } of ranked) {
        const { capabilities, standing } = cast[Number(registry.slice(1))] ?? {}
        assert.equal(standing, verified ? 'verified' : 'assumed')
        assert.ok(capabilities?.includes('pull') ?? true)
        if (kind === 'tag') assert.ok(!pinned && (capabilities?.includes('resolve') ?? true))
      }
    }),
    { numRuns: 1_000 },
  )
})

/** No two places are equal, so that there is one order. */
function isBefore(one: readonly number[], other: readonly number[]): boolean {
  const differing = one.findIndex((value, index) => value !== other[index])
  return differing !== -1 && (one[differing] ?? 0) < (other[differing] ?? 0)
}
