import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ImageResolverClient } from '../../src/client.ts'
import { until } from '../conformance/cri/poll.ts'
import { startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { runProgram } from '../support/program.ts'
import { requireStack } from '../support/stack.ts'

const TOKEN = 'known-to-the-registry'

test('a tag that skopeo moves is resolved to the new image as soon as docker-registry has told of it', async (t) => {
  if (!requireStack(t, ['docker-registry', 'skopeo'])) return
  const hub = await startDockerRegistry(t)
  const [before, after] = [buildImage({ seed: 'before' }), buildImage({ seed: 'after' })]
  await pushImage(hub.url, 'team/app', 'live', before)
  await pushImage(hub.url, 'team/app', 'next', after)
  const daemon = await startDaemon(t, {
    config: {
      registries: [{ address: hub.url }],
      cache: { tagTTL: '24h' },
      http: { listen: '127.0.0.1:0', token: TOKEN, events: true },
    },
  })
  await hub.stop()
  await hub.start({
    notifications: {
      endpoints: [
        {
          name: 'image-resolver',
          url: `${daemon.httpUrl()}/events/registry`,
          headers: { Authorization: [`Bearer ${TOKEN}`] },
          timeout: '5s',
          threshold: 3,
          backoff: '1s',
          ignore: { actions: ['pull'] },
        },
      ],
    },
  })
  const client = new ImageResolverClient({ url: daemon.httpUrl() })
  const live = () => client.resolve(`${hub.host}/team/app:live`)
  assert.equal((await live()).digest, before.digest)
  assert.equal((await live()).source, 'cache')

  const place = (tag: string) => `docker://${hub.host}/team/app:${tag}`
  const plain = ['--insecure-policy', '--src-tls-verify=false', '--dest-tls-verify=false']
  await runProgram('skopeo', ['copy', ...plain, place('next'), place('live')])

  await until(async () => (await live()).digest === after.digest)
  const { headers } = await fetch(`${daemon.httpUrl()}/resolve?ref=${hub.host}/team/app:live`)
  assert.equal(headers.get('docker-content-digest'), after.digest)
  const metrics = await (await fetch(`${daemon.httpUrl()}/metrics`)).text()
  // A registry that is not answered in time sends it again.
  assert.match(metrics, /registry_events_total\{format="distribution",outcome="expired"\} [1-9]/)
})
