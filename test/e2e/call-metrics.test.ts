import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { buildImage } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { RUNTIME_PROGRAMS, requireStack } from '../support/stack.ts'

test('/metrics of the running service shows the calls at its socket and how pulls ended', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const node = await startTestNode(t)
  await node.push('library/nginx', 'latest', buildImage())

  await node.kubelet.pullImage('nginx')
  await node.kubelet.imageStatus('nginx')
  await node.kubelet.imageStatus('nginx')
  await assert.rejects(node.kubelet.raw('/made.Up/Method', Buffer.alloc(0)), {
    code: status.UNIMPLEMENTED,
  })
  await assert.rejects(node.kubelet.pullImage('sha256:nothing'))
  const metrics = await (await fetch(new URL('/metrics', node.daemon.httpUrl()))).text()

  const told = metrics.split('\n').filter((line) => /^image_resolver_(cri_calls|pulls)_/.test(line))
  assert.deepEqual(
    told.map((line) => line.replace(/^(.*ImageService\/PullImage",code=)"(?!OK).*?"/, '$1"…"')),
    [
      'image_resolver_cri_calls_total{method="ImageService/PullImage",code="OK"} 1',
      'image_resolver_cri_calls_total{method="ImageService/ImageStatus",code="OK"} 2',
      'image_resolver_cri_calls_total{method="other",code="UNIMPLEMENTED"} 1',
      'image_resolver_cri_calls_total{method="ImageService/PullImage",code="…"} 1',
      'image_resolver_pulls_total{outcome="pulled"} 1',
      'image_resolver_pulls_total{outcome="failed"} 1',
      'image_resolver_pulls_total{outcome="passed_on"} 0',
      'image_resolver_pulls_in_flight 0',
    ],
  )
})
