import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { Agent, fetch } from 'undici'
import type { TestImageStatus } from '../support/cri-client.ts'
import type { Caller, Ended } from './callers.ts'
import { type CallBook, DEADLINE_MS } from './calls.ts'
import type { Random } from './random.ts'
import type { World } from './world.ts'

const PAUSE_MS = [2, 30] as const
const EVENTS_MS = [100, 3_000] as const
/** The service allows a minute, which its descriptors would wait for at the end. */
const dispatcher = new Agent({ keepAliveMaxTimeout: 1_000 })
/** An answer may be from the cache, or from a walk that began with somebody else's question. */
const SLACK_MS = 25_000

const { CANCELLED, DEADLINE_EXCEEDED, FAILED_PRECONDITION, NOT_FOUND, OK, RESOURCE_EXHAUSTED } =
  status
const { PERMISSION_DENIED, UNAVAILABLE, UNKNOWN } = status
/** The runtime is away, or on its way: nothing else keeps it from saying what it has. */
const AWAY = [UNAVAILABLE, 'not ready']
/** And no registry can be had, in any of the ways in which they can fail. */
const NO_REGISTRY = [
  UNAVAILABLE,
  DEADLINE_EXCEEDED,
  RESOURCE_EXHAUSTED,
  NOT_FOUND,
  'origin not dialled',
]
/** What containerd says to the same. */
const NO_PULL = [...NO_REGISTRY, FAILED_PRECONDITION, UNKNOWN, CANCELLED, 'not ready']
const HTTP_CODES = [200, 404, 429, 502, 503, 504, 'origin not dialled']

export interface ClientScene {
  readonly world: World
  readonly book: CallBook
  readonly random: Random
  readonly httpUrl: string
  readonly signal: AbortSignal
}

interface Answer {
  readonly imageId: string
  readonly source: string
}

type Call = (caller: Caller, scene: ClientScene) => Promise<void>

const CALLS: readonly Call[] = [
  statusByName,
  statusByName,
  statusByName,
  statusById,
  listImages,
  listImages,
  version,
  pullImage,
  pullImage,
  removeImage,
  resolveImage,
  resolveOverHttp,
]

/** Calls of all kinds, one after the other, until the signal aborts. */
export async function keepCalling(caller: Caller, scene: ClientScene): Promise<void> {
  const { book, random, signal } = scene
  while (!signal.aborted) {
    await random.one(CALLS)(caller, scene)
    if (!caller.isConnected()) return book.wrong(`${caller.name}: its connection was ended`)
    await sleep(random.between(...PAUSE_MS))
  }
}

/** Streams that stay open for a while, one after the other, until the signal aborts. */
export async function keepListening(caller: Caller, scene: ClientScene): Promise<void> {
  const { book, random, signal } = scene
  while (!signal.aborted) {
    await book.enter('Events/Subscribe', [CANCELLED, ...AWAY], () =>
      caller.events(random.between(...EVENTS_MS)),
    )
    await sleep(random.between(...PAUSE_MS))
  }
}

async function statusByName(caller: Caller, { book, random, world }: ClientScene): Promise<void> {
  const name = random.one([...world.tags, ...world.digests])
  await book.enter('ImageStatus', [OK, ...AWAY], async () => {
    const { code, image } = await imageStatus(caller, name)
    if (image === undefined) return code
    const names = name.includes('@') ? image.repoDigests : image.repoTags
    const ever = world.idsOf(name, 0, performance.now())
    if (!ever.has(image.id)) book.wrong(`${name} never was ${image.id}`)
    if (!names.includes(name)) book.wrong(`${name} is not among ${names.join(' ')}`)
    return code
  })
}

async function statusById(caller: Caller, { book, random, world }: ClientScene): Promise<void> {
  const { imageId } = random.one(world.images)
  const asked = random.one([imageId, imageId.slice(7), imageId.slice(7, 20)])
  await book.enter('ImageStatus by ID', [OK, ...AWAY], async () => {
    const { code, image } = await imageStatus(caller, asked)
    if (image !== undefined && image.id !== imageId) book.wrong(`${asked} is ${image.id}`)
    return code
  })
}

async function listImages(caller: Caller, { book, world }: ClientScene): Promise<void> {
  await book.enter('ListImages', [OK, ...AWAY], async () => {
    const ended = await caller.call<{ images: TestImageStatus[] }>('ListImages', {})
    for (const { id, repoTags } of ended.response?.images ?? []) {
      if (!world.images.some(({ imageId }) => imageId === id)) book.wrong(`who is ${id}?`)
      const wrong = repoTags.filter((tag) => !world.idsOf(tag, 0, performance.now()).has(id))
      if (wrong.length > 0) book.wrong(`${wrong.join(' ')} never was ${id}`)
    }
    return codeOf(ended)
  })
}

async function version(caller: Caller, { book }: ClientScene): Promise<void> {
  await book.enter('Version', [OK, ...AWAY], async () => {
    const ended = await caller.call<{ runtimeName: string }>('Version', {})
    const { code, response } = ended
    if (code === OK && response?.runtimeName !== 'containerd') book.wrong('that is not containerd')
    return codeOf(ended)
  })
}

async function pullImage(caller: Caller, { book, random, world }: ClientScene): Promise<void> {
  const name = random.one([...world.tags, ...world.digests])
  const startedAt = performance.now()
  await book.enter('PullImage', [OK, ...NO_PULL], async () => {
    const request = { image: { image: name } }
    const ended = await caller.call<{ imageRef: string }>('PullImage', request)
    const { code, response } = ended
    const then = world.idsOf(name, startedAt - SLACK_MS, performance.now())
    const { imageRef = '' } = response ?? {}
    if (code === OK && !then.has(imageRef)) book.wrong(`${name} was not ${imageRef} when pulled`)
    return codeOf(ended)
  })
}

async function removeImage(caller: Caller, { book, random, world }: ClientScene): Promise<void> {
  const { imageId } = random.one(world.images)
  const asked = random.one([random.one(world.tags), random.one(world.digests), imageId])
  await book.enter('RemoveImage', [OK, ...AWAY], async () => {
    return codeOf(await caller.call('RemoveImage', { image: { image: asked } }))
  })
}

async function resolveImage(caller: Caller, { book, random, world }: ClientScene): Promise<void> {
  const reference = random.one([...world.tags, ...world.digests])
  const startedAt = performance.now()
  await book.enter('ResolveImage', [OK, ...NO_REGISTRY], async () => {
    const refresh = random.one([true, false])
    const { code, message, response } = await caller.resolve<Answer>({ reference, refresh })
    if (response !== undefined) judge(reference, response, startedAt, world, book)
    return code === PERMISSION_DENIED ? refusalOf(message, code) : code
  })
}

async function resolveOverHttp(_: Caller, scene: ClientScene): Promise<void> {
  const { book, httpUrl, random, world } = scene
  const reference = random.one([...world.tags, ...world.digests])
  const startedAt = performance.now()
  await book.enter('GET /resolve', HTTP_CODES, async () => {
    const url = new URL(`/resolve?ref=${encodeURIComponent(reference)}`, httpUrl)
    const response = await fetch(url, { dispatcher, signal: AbortSignal.timeout(DEADLINE_MS) })
    const text = await response.text()
    if (response.ok) judge(reference, JSON.parse(text) as Answer, startedAt, world, book)
    return response.status === 403 ? refusalOf(text, response.status) : response.status
  })
}

/** The origin is on loopback: where the mirrors say that they have no such image, it is not asked. */
function refusalOf(text: string, code: number): number | string {
  return text.includes('leads to a private or local address')
    ? 'origin not dialled'
    : `${code}: ${text}`
}

/** A stale answer, or the node's own, may be as old as it likes. */
function judge(
  name: string,
  { imageId, source }: Answer,
  startedAt: number,
  world: World,
  book: CallBook,
): void {
  const from = ['stale', 'node'].includes(source) ? 0 : startedAt - SLACK_MS
  if (!world.idsOf(name, from, performance.now()).has(imageId)) {
    book.wrong(`${name} was resolved to ${imageId} (${source})`)
  }
}

async function imageStatus(
  caller: Caller,
  image: string,
): Promise<{ readonly code: number | string; readonly image: TestImageStatus | undefined }> {
  type Response = { readonly image: TestImageStatus | null }
  const ended: Ended<Response> = await caller.call('ImageStatus', { image: { image } })
  return { code: codeOf(ended), image: ended.response?.image ?? undefined }
}

/** containerd 1.6 has no better code for it. */
function codeOf({ code, message }: Ended<unknown>): number | string {
  return code === UNKNOWN && message === 'server is not initialized yet' ? 'not ready' : code
}
