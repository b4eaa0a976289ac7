import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { watchPull } from '../../../src/cri/pull-watch.ts'
import { ResolveError } from '../../../src/errors.ts'
import type { Ingest } from '../../../src/runtime/content.ts'
import { imageProgress } from '../../../src/runtime/image-progress.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { buildImage, digestOf } from '../../support/images.ts'

const IMAGE = buildImage()
const [CONFIG, LAYER] = IMAGE.blobs.map(({ digest }) => digest) as [string, string]
const OTHER = `layer-${digestOf('of another pull')}`
const LIMIT_MS = 60_000

/** A pull of IMAGE, of which the test lets come what it likes. */
function scene() {
  const clock = new FakeClock()
  const there = new Map<string, Buffer>()
  const ingests = new Map<string, Ingest>()
  const state = { error: undefined as Error | undefined, looks: 0 }
  const watch = watchPull({
    look: imageProgress(
      {
        info: async (digest) => {
          const bytes = there.get(digest)
          return bytes && { size: bytes.length, labels: {} }
        },
        read: async (digest) => there.get(digest),
        ingests: async () => {
          state.looks += 1
          if (state.error !== undefined) throw state.error
          return [...ingests.values()]
        },
      },
      { digest: IMAGE.digest, imageId: IMAGE.imageId },
    ),
    registry: 'hub:5000',
    limitMs: LIMIT_MS,
    clock,
  })
  return {
    clock,
    state,
    watch,
    have: (...digests: readonly string[]) => {
      for (const { digest, bytes } of [IMAGE, ...IMAGE.blobs]) {
        if (digests.includes(digest)) there.set(digest, bytes)
      }
    },
    load: (ref: string, offset: number) => ingests.set(ref, { ref, offset, total: 1_000 }),
    end: (ref: string) => ingests.delete(ref),
  }
}

function refusal(code: status): Error {
  return Object.assign(new Error(), { code, details: '', metadata: [] })
}

test('a pull of which bytes come, however slowly, is never ended', async () => {
  const { clock, have, load, watch } = scene()
  have(IMAGE.digest, CONFIG)

  for (let offset = 0; offset < 100; offset += 1) {
    load(`layer-${LAYER}`, offset)
    await clock.advance(LIMIT_MS * 0.8)
  }

  assert.equal(watch.signal.aborted, false)
})

test('a download that stands still for the limit ends the pull, and the error says what and where', async () => {
  const { clock, have, load, watch } = scene()
  have(IMAGE.digest, CONFIG)
  load(`layer-${LAYER}`, 5)

  await clock.advance(LIMIT_MS * 0.9)
  const before = watch.signal.aborted
  await clock.advance(LIMIT_MS * 0.3)

  const [{ length: manifest }, { length: config }] = [IMAGE, ...IMAGE.blobs].map(
    ({ bytes }) => bytes,
  ) as [Buffer, Buffer]
  const { reason } = watch.signal
  assert.deepEqual([before, watch.signal.aborted], [false, true])
  assert.ok(reason instanceof ResolveError)
  assert.equal(reason.code, 'DEADLINE_EXCEEDED')
  const bytes = manifest + config + 5
  assert.equal(reason.message, `no progress for 60 s (timeout): hub:5000 had sent ${bytes} bytes`)
})

test('what other pulls load keeps none alive that has a download of its own', async () => {
  const { clock, have, load, watch } = scene()
  have(IMAGE.digest, CONFIG)
  load(`layer-${LAYER}`, 5)

  for (let offset = 0; offset < 20; offset += 1) {
    load(OTHER, offset)
    await clock.advance(LIMIT_MS / 10)
  }

  assert.equal(watch.signal.aborted, true)
})

test('a pull that waits for others to load is not ended before those stand still', async () => {
  const { clock, have, load, watch } = scene()
  have(IMAGE.digest)

  for (let offset = 0; offset < 50; offset += 1) {
    load(OTHER, offset)
    await clock.advance(LIMIT_MS / 10)
  }
  const whileLoading = watch.signal.aborted
  await clock.advance(LIMIT_MS * 1.2)

  assert.deepEqual([whileLoading, watch.signal.aborted], [false, true])
})

test('while a whole image is unpacked nothing is said of its progress', async () => {
  const { clock, have, watch } = scene()
  have(IMAGE.digest, CONFIG, LAYER)

  await clock.advance(LIMIT_MS * 100)

  assert.equal(watch.signal.aborted, false)
})

test('a registry that never sends the manifest is given up', async () => {
  const { clock, watch } = scene()

  await clock.advance(LIMIT_MS * 1.2)

  assert.match(String(watch.signal.reason), /hub:5000 had sent 0 bytes/)
})

test('while the runtime does not answer nothing is held against the registry', async () => {
  const { clock, load, state, watch } = scene()
  load(`layer-${LAYER}`, 5)
  await clock.advance(LIMIT_MS * 0.8)
  state.error = refusal(status.UNAVAILABLE)
  await clock.advance(LIMIT_MS * 5)
  state.error = undefined
  await clock.advance(LIMIT_MS * 0.8)

  assert.equal(watch.signal.aborted, false)
})

test('a runtime without a content store is asked once', async () => {
  const { clock, state, watch } = scene()
  state.error = refusal(status.UNIMPLEMENTED)

  await clock.advance(LIMIT_MS * 5)

  assert.equal(state.looks, 1)
  assert.equal(watch.signal.aborted, false)
  assert.equal(clock.pendingTimers, 0)
})

test('a watch that is stopped looks no more', async () => {
  const { clock, state, watch } = scene()
  await clock.advance(LIMIT_MS / 2)
  const { looks } = state

  watch.stop()
  await clock.advance(LIMIT_MS * 5)

  assert.equal(state.looks, looks)
  assert.equal(watch.signal.aborted, false)
})
