import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { status } from '@grpc/grpc-js'
import { systemClock } from '../../src/concurrency/clock.ts'
import { watchPull } from '../../src/cri/pull-watch.ts'
import { ResolveError } from '../../src/errors.ts'
import type { RuntimeError } from '../../src/runtime/call.ts'
import { openRuntimeChannel } from '../../src/runtime/channel.ts'
import { createContentStore } from '../../src/runtime/content.ts'
import { imageProgress } from '../../src/runtime/image-progress.ts'
import { buildImage, type Content, type TestImage } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import type { ProxyAction, RecordedRequest } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const forward: ProxyAction = { kind: 'forward' }

function flipped(body: Buffer): Buffer {
  const changed = Buffer.from(body)
  changed[changed.length >> 1] = (changed[changed.length >> 1] ?? 0) ^ 1
  return changed
}

/** What containerd asks for, of an image. */
const PARTS: Readonly<Record<string, (image: TestImage, request: RecordedRequest) => boolean>> = {
  layer: ({ blobs }, { path }) => path.includes(blobs[1]?.digest ?? '-'),
  config: ({ blobs }, { path }) => path.includes(blobs[0]?.digest ?? '-'),
  // The resolver's own question is by tag.
  manifest: ({ digest }, { method, path }) => method === 'GET' && path.includes(digest),
}

test('a wrong byte that came once, past us, to an empty node does not make every pull fail', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/app', 'latest', image)
  const [spoiling, sound] = [node.first, node.second].map(
    ({ host }) => `${host}/library/app@${image.digest}`,
  ) as [string, string]
  node.first.behave((request) =>
    PARTS['manifest']?.(image, request) ? { kind: 'tamper', body: flipped } : forward,
  )
  await assert.rejects(node.direct.pullImage(spoiling))
  node.first.behave(forward)

  const before = await node.direct.pullImage(sound).catch((error: RuntimeError) => error.details)
  const ref = await node.kubelet.pullImage('app')

  // containerd keeps what it could not commit, and goes on from there.
  assert.match(before, /failed commit on ref "manifest-sha256:/)
  assert.equal(ref, image.imageId)
  assert.match(
    node.daemon.program().output(),
    /discarded a download of the runtime with wrong bytes/,
  )
})

test('one wrong byte in the answer of a registry, once', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)

  for (const [part, isPart] of Object.entries(PARTS)) {
    await t.test(`in a ${part} costs that pull a second try at the same registry`, async () => {
      const image = buildImage({ seed: part })
      await node.push(`library/${part}`, 'latest', image)
      let spoiled = 0
      node.first.behave((request) => {
        // What resolving finds to be wrong is no matter of the runtime.
        const isRuntimes = request.headers['user-agent']?.startsWith('containerd') ?? false
        if (spoiled > 0 || !isRuntimes || !isPart(image, request)) return forward
        spoiled += 1
        return { kind: 'tamper', body: flipped }
      })
      node.second.clear()

      const ref = await node.kubelet.pullImage(part)

      assert.equal(ref, image.imageId)
      assert.equal(spoiled, 1)
      assert.ok(!node.second.requests.some(({ path }) => path.includes('sha256:')))
    })
  }
})

test('a registry whose bytes are wrong each time is left for the next one', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = buildImage()
  await node.push('library/always', 'latest', image)
  node.first.behave((request) =>
    PARTS['layer']?.(image, request) ? { kind: 'tamper', body: flipped } : forward,
  )

  const ref = await node.kubelet.pullImage('always')

  assert.equal(ref, image.imageId)
})

test('the downloads of the runtime tell a slow pull from one that stands still', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const channel = openRuntimeChannel(node.containerd.socketPath)
  t.after(() => channel.close())
  const content = createContentStore(channel)
  // containerd writes what comes by the MiB.
  const files = [{ path: 'big', content: randomBytes(6 << 20).toString('hex') }]
  const image = buildImage({ files })
  await node.push('library/big', 'latest', image)
  const [config, layer] = image.blobs as [Content, Content]
  let pieces = 0
  let isStill = false
  let looks = 0
  let looked = (): void => {}
  node.first.behave((request) =>
    PARTS['layer']?.(image, request)
      ? {
          kind: 'drip',
          pieces: 8,
          // With each look one more.
          piece: async () => {
            if (isStill && pieces > 1) await new Promise(() => {})
            pieces += 1
            await new Promise<void>((resolve) => {
              looked = resolve
            })
          },
        }
      : forward,
  )
  const watched = async () => {
    const limitMs = 4_000
    const clock = systemClock
    const { host: registry } = node.first
    const progress = imageProgress(content, image)
    let isOver = false
    let last = ''
    // Four looks in a row that see the same are too many: each second one waits until a busy machine has come further.
    const look = async () => {
      looks += 1
      looked()
      let seen = await progress()
      while (!isStill && !isOver && looks % 2 === 0 && seen.state === last) {
        looked()
        await sleep(20)
        seen = await progress()
      }
      last = seen.state
      return seen
    }
    const watch = watchPull({ look, registry, limitMs, clock })
    const name = `${registry}/library/big@${image.digest}`
    try {
      return await node.direct.pullImage(name, undefined, { signal: watch.signal })
    } catch {
      return watch.signal.reason as unknown
    } finally {
      isOver = true
      watch.stop()
    }
  }
  isStill = true
  const stalled = await watched()
  isStill = false
  looks = 0
  const slow = await watched()

  assert.ok(stalled instanceof ResolveError)
  const [, bytes] = /: 127\.0\.0\.1:\d+ had sent (\d+) bytes$/.exec(stalled.message) ?? []
  const least = image.bytes.length + config.bytes.length
  assert.ok(Number(bytes) > least && Number(bytes) < least + layer.bytes.length, stalled.message)
  assert.equal(slow, image.imageId)
  assert.ok(looks > 4, `it was pulled within ${looks} looks`)
})

test("a failed pull says the runtime's own error first, then what each registry said", async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  const image = `${node.registry.host}/team/absent:1`
  await node.registry.stop()
  node.first.behave({ kind: 'answer', status: 404 })
  node.second.behave({
    kind: 'answer',
    status: 401,
    headers: { 'www-authenticate': 'Basic realm="closed"' },
  })

  const ours = await failure(node.kubelet.pullImage(image))
  const direct = await failure(node.direct.pullImage(image))

  assert.equal(ours.code, direct.code)
  assert.notEqual(ours.code, status.OK)
  assert.ok(ours.details.startsWith(`${direct.details}; image-resolver: `), ours.details)
  const added = ours.details.slice(direct.details.length)
  assert.match(added, new RegExp(`${node.first.host}: \\S+ is not there \\(404\\)`))
  assert.match(added, new RegExp(`${node.second.host}: \\S+ needs credentials`))
  assert.ok(added.endsWith(`; see: image-resolver resolve --explain ${image}`))
})

function failure(pull: Promise<string>): Promise<RuntimeError> {
  return pull.then(
    () => assert.fail('the pull succeeded'),
    (error: unknown) => error as RuntimeError,
  )
}
