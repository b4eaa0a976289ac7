import { setTimeout as sleep } from 'node:timers/promises'
import { buildImage, buildIndex, pushImage, type TestImage } from '../support/images.ts'
import type { Random } from './random.ts'

const ARM = { os: 'linux', architecture: 'arm64' }
const IMAGES = 6
const STILL = ['team/still:1', 'team/still:2'] as const
const MOVING = ['team/moving:latest', 'team/moving:stable', 'other/moving:latest'] as const
const MOVE_MS = { least: 500, most: 3_000 }

/** An image that a name stood for, from when to when at most. */
interface Tenure {
  readonly image: TestImage
  readonly from: number
  to: number
}

/** What there is to be had, and which image each name stood for at which time. */
export interface World {
  /** `host/path:tag`, by the registry that images come from. */
  readonly tags: readonly string[]
  /** `host/path@digest` */
  readonly digests: readonly string[]
  readonly images: readonly TestImage[]
  /** IDs that a name stood for at some moment between the two, or ever until the second. */
  idsOf(name: string, from: number, to: number): ReadonlySet<string>
  /** Moves tags until the signal aborts. */
  turn(signal: AbortSignal, random: Random): Promise<void>
}

/**
 * @param url of the registry itself, where images are pushed
 * @param host under which they are asked for
 */
export async function createWorld(url: string, host: string): Promise<World> {
  const images = Array.from({ length: IMAGES }, (_, n) => {
    const image = buildImage({ seed: `soak ${n}` })
    return n % 2 === 0 ? image : buildIndex([image, buildImage({ seed: `${n}`, platform: ARM })])
  })
  const tenures = new Map<string, Tenure[]>()
  const digests: string[] = []

  async function point(named: string, image: TestImage): Promise<void> {
    const [repository = '', tag] = named.split(':')
    const held = tenures.get(named) ?? []
    held.push({ image, from: performance.now(), to: Number.POSITIVE_INFINITY })
    tenures.set(named, held)
    await pushImage(url, repository, tag, image)
    const before = held.at(-2)
    if (before !== undefined) before.to = performance.now()
  }

  for (const [n, named] of [...STILL, ...MOVING].entries()) {
    await point(named, images[n % images.length] as TestImage)
  }
  for (const image of images) {
    await pushImage(url, 'team/pinned', undefined, image)
    digests.push(`${host}/team/pinned@${image.digest}`)
  }

  return {
    images,
    digests,
    tags: [...STILL, ...MOVING].map((named) => `${host}/${named}`),
    idsOf(name, from, to) {
      const digest = name.split('@')[1]
      const pinned = images.filter((image) => image.digest === digest)
      const held = tenures.get(name.slice(host.length + 1)) ?? []
      const stood = held.filter((tenure) => tenure.from <= to && tenure.to >= from)
      return new Set([...pinned, ...stood.map(({ image }) => image)].map((each) => each.imageId))
    },
    async turn(signal, random) {
      while (!signal.aborted) {
        await sleep(random.between(MOVE_MS.least, MOVE_MS.most), undefined, { signal }).catch(
          () => {},
        )
        await point(random.one(MOVING), random.one(images))
      }
    },
  }
}
