import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import {
  AvailabilityCheck,
  availabilityOf,
  type ImagePlace,
  missingCopies,
  movedTo,
} from '../../../src/resolver/availability.ts'
import { candidate, digestOf, nginx } from '../../support/resolver.ts'

type State = ImagePlace['state']

function place(registry: string, state: State, fields: Partial<ImagePlace> = {}): ImagePlace {
  const origin = registry === 'origin'
  const digest = state === 'present' ? { digest: digestOf('one') } : {}
  const reference = `${registry}/nginx:1`
  return {
    registry,
    reference,
    origin,
    configured: !origin,
    state,
    plainHttp: false,
    ...digest,
    ...fields,
  }
}

describe('where an image can be pulled from', () => {
  const rows: readonly (readonly [readonly State[], State | undefined, string])[] = [
    [['present'], 'present', 'everywhere'],
    [['present', 'present'], undefined, 'everywhere'],
    [['present', 'absent'], undefined, 'partly'],
    [['present', 'absent'], 'present', 'partly'],
    [['present'], 'absent', 'private-only'],
    [['present'], 'denied', 'private-only'],
    [['absent'], 'present', 'origin-only'],
    [[], 'present', 'origin-only'],
    [['absent'], 'absent', 'gone'],
    [['absent'], undefined, 'gone'],
    [['denied'], 'absent', 'denied'],
    [['absent'], 'denied', 'denied'],
    [['unknown'], 'absent', 'unknown'],
    [['unknown'], 'present', 'unknown'],
    [['present'], 'unknown', 'unknown'],
  ]
  for (const [mirrors, origin, expected] of rows) {
    it(`is ${expected} where configured registries say ${mirrors} and the origin ${origin}`, () => {
      const places = [
        ...mirrors.map((state, n) => place(`mirror${n}`, state)),
        ...(origin === undefined ? [] : [place('origin', origin)]),
      ]
      assert.equal(availabilityOf(places), expected)
    })
  }

  it('is this node alone where every registry said no', () => {
    assert.equal(availabilityOf([place('origin', 'absent')], true), 'node-only')
    assert.equal(availabilityOf([place('origin', 'denied')], true), 'denied')
  })

  it('is different where places have different digests, also when another is silent', () => {
    const places = [
      place('mirror', 'present'),
      place('origin', 'present', { digest: digestOf('two') }),
      place('other', 'unknown'),
    ]
    assert.equal(availabilityOf(places), 'different')
    assert.deepEqual(missingCopies([...places, place('third', 'absent')]), [])
  })

  it('is everywhere for an image whose own registry is configured', () => {
    assert.equal(availabilityOf([place('origin', 'present', { configured: true })]), 'everywhere')
  })
})

describe('what is to be copied', () => {
  it('is what configured registries lack, from the origin where that has it', () => {
    const [had, lacks, origin] = [
      place('had', 'present'),
      place('lacks', 'absent'),
      place('origin', 'present'),
    ]
    assert.deepEqual(missingCopies([had, lacks, origin]), [{ source: origin, target: lacks }])
    assert.deepEqual(missingCopies([had, lacks, place('origin', 'absent')]), [
      { source: had, target: lacks },
    ])
  })

  it('is nothing where a registry did not say, or refused', () => {
    const origin = place('origin', 'present')
    assert.deepEqual(missingCopies([place('a', 'unknown'), place('b', 'denied'), origin]), [])
  })
})

describe('a tag has moved', () => {
  it('where the node has it by other digests than the registries', () => {
    const places = [place('origin', 'present')]
    assert.equal(movedTo(nginx(), places, [digestOf('old')]), digestOf('one'))
    assert.equal(movedTo(nginx(), places, [digestOf('old'), digestOf('one')]), undefined)
    assert.equal(movedTo(nginx(), places, []), undefined)
    assert.equal(movedTo(nginx(), [place('origin', 'absent')], [digestOf('old')]), undefined)
  })
})

describe('asking places', () => {
  it('asks each once, by digest where there is one, and says what each said', async () => {
    const asked: string[] = []
    const check = new AvailabilityCheck({
      head: async ({ registry }, reference) => {
        asked.push(`${registry} ${reference}`)
        if (registry === 'a') return digestOf('one')
        const code = registry === 'b' ? 'MANIFEST_UNKNOWN' : 'UNAUTHORIZED'
        throw new ResolveError(code, 'no')
      },
    })
    const reference = nginx({ digest: digestOf('one') })
    const places = await check.places(reference, [candidate('a'), candidate('b'), candidate('c')])
    assert.deepEqual(
      asked,
      ['a', 'b', 'c'].map((each) => `${each} ${digestOf('one')}`),
    )
    assert.deepEqual(
      places.map(({ state }) => state),
      ['present', 'absent', 'denied'],
    )
  })

  it('gives a registry that said 429 its pause', async () => {
    let asked = 0
    const check = new AvailabilityCheck({
      head: async () => {
        asked += 1
        throw new ResolveError('TOOMANYREQUESTS', 'slower')
      },
    })
    await check.places(nginx(), [candidate('a')])
    const [second] = await check.places(nginx({ tag: '2' }), [candidate('a')])
    assert.deepEqual([asked, second?.state, second?.error?.code], [1, 'unknown', 'TOOMANYREQUESTS'])
  })

  it('asks no place that may not be pulled from', async () => {
    const check = new AvailabilityCheck({ head: async () => assert.fail('was asked') })
    const resolving = candidate('a')
    const entry = { ...(resolving.entry ?? { name: 'a' }), capabilities: ['resolve'] }
    const places = await check.places(nginx(), [{ ...resolving, entry } as typeof resolving])
    assert.deepEqual(places, [])
  })
})
