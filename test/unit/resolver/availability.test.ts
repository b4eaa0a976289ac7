import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ResolveError } from '../../../src/errors.ts'
import {
  AvailabilityCheck,
  type AvailabilityOptions,
  availabilityOf,
  hasPlatform,
  type ImagePlace,
  missingCopies,
  movedTo,
} from '../../../src/resolver/availability.ts'
import { FakeClock, settle } from '../../support/fake-clock.ts'
import { AMD64, candidate, digestOf, nginx } from '../../support/resolver.ts'

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
    const check = checkWith({
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

  it('asks no place that may not be pulled from', async () => {
    const check = checkWith({ head: async () => assert.fail('was asked') })
    const resolving = candidate('a')
    const entry = { ...(resolving.entry ?? { name: 'a' }), capabilities: ['resolve'] }
    const places = await check.places(nginx(), [{ ...resolving, entry } as typeof resolving])
    assert.deepEqual(places, [])
  })

  it('asks nothing again that is known', async () => {
    const check = checkWith({ head: async () => assert.fail('was asked') })
    const known = place('a', 'absent')
    const places = await check.places(nginx(), [candidate('a')], { known: () => known })
    assert.deepEqual(places, [known])
  })

  it('asks for the platforms of a digest once, wherever it is', async () => {
    let asked = 0
    const check = checkWith({
      head: async () => digestOf('one'),
      platforms: async () => {
        asked += 1
        return ['linux/amd64', 'linux/arm64/v8']
      },
    })
    const options = { platforms: [AMD64] }
    const places = await check.places(nginx(), [candidate('a'), candidate('b')], options)
    assert.deepEqual(
      places.map(({ platforms = [] }) =>
        hasPlatform({ os: 'linux', architecture: 'arm64' }, platforms),
      ),
      [true, true],
    )
    assert.equal(asked, 1)
    assert.equal(hasPlatform({ os: 'linux', architecture: 's390x' }, ['linux/amd64', 'x']), false)
  })

  it('is present without its platforms where these cannot be had', async () => {
    const check = checkWith({
      head: async () => digestOf('one'),
      platforms: async () => {
        throw new ResolveError('UNAVAILABLE', 'no')
      },
    })
    const [found] = await check.places(nginx(), [candidate('a')], { platforms: [AMD64] })
    assert.deepEqual([found?.state, found?.error?.code], ['present', 'UNAVAILABLE'])
  })
})

describe('a registry that says 429', () => {
  const refusal = (retryAfterMs?: number) =>
    new ResolveError(
      'TOOMANYREQUESTS',
      'slower',
      retryAfterMs === undefined ? {} : { retryAfterMs },
    )

  it('gets the pause that it wants, then one question at a time, and is asked again', async () => {
    const clock = new FakeClock()
    const asked: number[] = []
    const waiting: (() => void)[] = []
    const check = checkWith({
      clock,
      head: async () => {
        asked.push(clock.now())
        if (asked.length <= 2) throw refusal(5_000)
        await new Promise<void>((resolve) => waiting.push(resolve))
        return digestOf('one')
      },
    })
    const started = clock.now()
    const both = ['1', '2'].map((tag) => check.places(nginx({ tag }), [candidate('a')]))
    await clock.advance(4_999)
    assert.equal(asked.length, 2)
    await clock.advance(1)
    assert.deepEqual(asked.slice(2), [started + 5_000])
    waiting.shift()?.()
    await settle()
    assert.equal(asked.length, 4)
    waiting.shift()?.()
    const states = (await Promise.all(both)).flat().map(({ state }) => state)
    assert.deepEqual(states, ['present', 'present'])
  })

  it('is not given up where it refuses many that were under way at once', async () => {
    const clock = new FakeClock()
    let asked = 0
    const check = checkWith({
      clock,
      head: async () => {
        asked += 1
        if (asked <= 16) throw refusal(1_000)
        return digestOf('one')
      },
    })
    const all = Array.from({ length: 16 }, (_, n) =>
      check.places(nginx({ tag: `${n}` }), [candidate('a')]),
    )
    await settle()
    await clock.advance(1_000)
    const states = (await Promise.all(all)).flat().map(({ state }) => state)
    assert.deepEqual(new Set(states), new Set(['present']))
    assert.equal(asked, 32)
  })

  it('is asked no more where it goes on, or wants a longer pause than there is time for', async () => {
    for (const [retryAfterMs, expected] of [
      [1_000, 3],
      [61_000, 1],
    ] as const) {
      const clock = new FakeClock()
      let asked = 0
      const check = checkWith({
        clock,
        head: async () => {
          asked += 1
          throw refusal(retryAfterMs)
        },
      })
      const first = check.places(nginx(), [candidate('a')])
      await clock.advance(10_000)
      const second = check.places(nginx({ tag: '2' }), [candidate('a')])
      const places = (await Promise.all([first, second])).flat()
      assert.equal(asked, expected)
      assert.deepEqual(
        places.map(({ state, error }) => [state, error?.code]),
        [
          ['unknown', 'TOOMANYREQUESTS'],
          ['unknown', 'TOOMANYREQUESTS'],
        ],
      )
    }
  })
})

describe('a registry that is silent', () => {
  it('is asked no more after eight times, while others are', async () => {
    const asked = { silent: 0, fine: 0 }
    const check = checkWith({
      head: async ({ registry }) => {
        asked[registry as keyof typeof asked] += 1
        if (registry === 'fine') return digestOf('one')
        throw new ResolveError('UNAVAILABLE', 'refused the connection')
      },
    })
    const both = [candidate('silent'), candidate('fine')]
    for (let tag = 0; tag < 20; tag += 1) await check.places(nginx({ tag: `${tag}` }), both)
    assert.deepEqual(asked, { silent: 8, fine: 20 })
  })

  it('is not one that answers with an error', async () => {
    let asked = 0
    const check = checkWith({
      head: async () => {
        asked += 1
        throw new ResolveError('UNAVAILABLE', 'error 500', { status: 500 })
      },
    })
    for (let tag = 0; tag < 20; tag += 1) {
      await check.places(nginx({ tag: `${tag}` }), [candidate('a')])
    }
    assert.equal(asked, 20)
  })
})

function checkWith(options: Partial<AvailabilityOptions>): AvailabilityCheck {
  return new AvailabilityCheck({
    head: async () => assert.fail('was asked'),
    platforms: async () => assert.fail('the platforms were asked for'),
    clock: new FakeClock(),
    maxPauseMs: 60_000,
    signal: new AbortController().signal,
    ...options,
  })
}
