import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import type { PullRecord } from '../../api/v1/images.ts'
import { ImageResolverClient } from '../../src/client.ts'
import { buildImage, type Content } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

const token = 'open-sesame'

test('a pull that runs is listed with its registry and the bytes that containerd has, until it ends', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t, { http: { listen: '127.0.0.1:0', token } })
  // containerd tells of what came in steps of 1 MiB.
  const files = [{ path: 'big', content: randomBytes(6 << 20).toString('hex') }]
  const image = buildImage({ files })
  const [, layer] = image.blobs as [Content, Content]
  await node.push('library/big', 'latest', image)
  let goOn: () => void = () => {}
  const seen = new Promise<void>((resolve) => {
    goOn = resolve
  })
  let pieces = 0
  node.first.behave(({ path }) =>
    path.includes(layer.digest)
      ? {
          kind: 'drip',
          pieces: 4,
          piece: async () => {
            pieces += 1
            if (pieces > 2) await seen
          },
        }
      : { kind: 'forward' },
  )
  const client = new ImageResolverClient({ url: node.daemon.httpUrl(), token })

  const pulled = node.kubelet.pullImage('big')
  let running: PullRecord | undefined
  while ((running?.layers?.bytes ?? 0) === 0) {
    running = (await client.pulls()).pulls[0]
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  goOn()

  assert.equal(await pulled, image.imageId)
  assert.equal(running?.reference, 'big')
  assert.equal(running.registry, node.first.host)
  const { bytes = 0, ...layers } = running.layers ?? {}
  assert.deepEqual(layers, { done: 0, total: 1, totalBytes: layer.bytes.length })
  assert.ok(bytes > 0 && bytes < layer.bytes.length, String(bytes))
  assert.deepEqual(await client.pulls(), { running: 0, pulls: [] })
})
