import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeHosts } from '../../src/cli/commands/containerd-hosts.ts'
import { planHosts } from '../../src/cli/commands/hosts-plan.ts'
import { startContainerd } from '../support/containerd.ts'
import { criClient } from '../support/cri-client.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { FakeRegistry, serve } from '../support/fake-registry.ts'
import { buildImage, buildIndex, digestOf, pushImage, type TestImage } from '../support/images.ts'
import { place, startMirror } from '../support/mirror.ts'
import { runProgram } from '../support/program.ts'
import { startRegistryProxy } from '../support/registry-proxy.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

/** Of a layer that takes more than one read, however well the line is buffered. */
function largeImage(seed: string): TestImage {
  const noise = randomBytes(8 * 1024 * 1024).toString('base64')
  return buildImage({ seed, files: [{ path: 'noise.txt', content: noise }] })
}

function layerOf(image: TestImage): string {
  return image.blobs[1]?.digest ?? ''
}

test('containerd pulls through the mirror, names untouched, while the first registry dies in a layer', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const image = largeImage('dying')
  const index = buildIndex([image])
  await pushImage(registry.url, 'library/app', '1', index)
  const second = await startRegistryProxy(t, registry.url)
  const first = await FakeRegistry.start(t)
  first.put('library/app', '1', index)
  first.behaviour = (exchange) => {
    if (!exchange.request.url?.includes(layerOf(image))) return serve(exchange)
    const { response, found } = exchange
    response.writeHead(200, { 'content-length': found?.bytes.length })
    const half = found?.bytes.subarray(0, found.bytes.length / 2)
    response.write(half, () => void first.server.stop())
  }
  const entries = [place(first, { priority: 900 }), place(second)]
  const mirror = await startMirror(t, entries)
  const config = { registries: entries, mirrorsOnly: ['docker.io'] }
  await writeHosts(containerd.hostsFolder, planHosts(config, mirror.url).folders, false)
  const kubelet = criClient(t, containerd.socketPath)

  const id = await kubelet.pullImage('docker.io/library/app:1')

  assert.equal(id, image.imageId)
  const found = await kubelet.imageStatus(id)
  assert.deepEqual(found?.repoTags, ['docker.io/library/app:1'])
  assert.deepEqual(found?.repoDigests, [`docker.io/library/app@${index.digest}`])
  assert.equal(first.log().filter((line) => line.includes(layerOf(image))).length, 1)
  const rest = second.requests.filter(({ path }) => path.includes(layerOf(image)))
  assert.equal(rest.length, 1)
  assert.match(rest[0]?.headers.range ?? '', /^bytes=[1-9]\d*-/)
  assert.deepEqual(
    (await kubelet.listImages()).flatMap(({ repoTags }) => repoTags),
    ['docker.io/library/app:1'],
  )
})

test('containerd pulls images of several registries through one mirror, by digest too', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const [hub, quay] = [buildImage({ seed: 'hub' }), buildImage({ seed: 'quay', docker: true })]
  await pushImage(registry.url, 'docker.io/library/app', '1', hub)
  await pushImage(registry.url, 'quay.io/library/app', '1', quay)
  const entries = [place(registry, { path: '{domain}/{path}' })]
  const mirror = await startMirror(t, entries)
  const { folders } = planHosts({ registries: entries, mirrorsOnly: [] }, mirror.url)
  await writeHosts(containerd.hostsFolder, folders, false)
  const kubelet = criClient(t, containerd.socketPath)

  const ids = [
    await kubelet.pullImage('app:1'),
    await kubelet.pullImage(`quay.io/library/app@${quay.digest}`),
  ]

  assert.deepEqual(ids, [hub.imageId, quay.imageId])
  assert.deepEqual((await kubelet.imageStatus(quay.imageId))?.repoDigests, [
    `quay.io/library/app@${quay.digest}`,
  ])
})

test('skopeo inspects, lists and copies through the mirror', async (t) => {
  if (!requireStack(t, ['docker-registry', 'skopeo'])) return
  const registry = await startDockerRegistry(t)
  const image = buildImage({ seed: 'skopeo' })
  await pushImage(registry.url, 'library/app', '1', image)
  await pushImage(registry.url, 'team/tool', '2', buildIndex([image]))
  const mirror = await startMirror(t, [place(registry)])
  const folder = temporaryFolder(t)
  const hub = `docker://${mirror.host}/library/app:1`
  const tool = `docker://${mirror.host}/quay.io/team/tool:2`
  const policy = '--insecure-policy'

  const told = JSON.parse(await runProgram('skopeo', ['inspect', '--tls-verify=false', hub]))
  const tags = JSON.parse(
    await runProgram('skopeo', ['list-tags', '--tls-verify=false', hub.replace(/:1$/, '')]),
  )
  const copy = ['copy', '--all', '--src-tls-verify=false', tool, `oci:${join(folder, 'tool')}:2`]
  await runProgram('skopeo', [policy, ...copy])

  assert.equal(told.Digest, image.digest)
  assert.deepEqual(tags.Tags, ['1'])
  const copied = await runProgram('skopeo', [
    'inspect',
    '--config',
    `oci:${join(folder, 'tool')}:2`,
  ])
  assert.equal(JSON.parse(copied).architecture, 'amd64')
})

test("podman's library finds the images of two registries through the mirror, by registries.conf", async (t) => {
  if (!requireStack(t, ['docker-registry', 'skopeo'])) return
  const registry = await startDockerRegistry(t)
  const [hub, quay] = [buildImage({ seed: 'hub' }), buildImage({ seed: 'quay' })]
  await pushImage(registry.url, 'docker.io/library/app', '1', hub)
  await pushImage(registry.url, 'quay.io/library/app', '1', quay)
  const mirror = await startMirror(t, [place(registry, { path: '{domain}/{path}' })])
  const file = join(temporaryFolder(t), 'registries.conf')
  const tables = ['docker.io', 'quay.io'].map((domain) => {
    const location = `location = "${mirror.host}/${domain}"`
    return `[[registry]]\nlocation = "${domain}"\n[[registry.mirror]]\n${location}\ninsecure = true\n`
  })
  writeFileSync(file, tables.join('\n'))
  const digest = async (name: string) => {
    const args = ['--registries-conf', file, 'inspect', '--raw', `docker://${name}`]
    return digestOf(await runProgram('skopeo', args))
  }

  assert.equal(await digest('docker.io/library/app:1'), hub.digest)
  assert.equal(await digest('quay.io/library/app:1'), quay.digest)
})

test('a docker-registry that is a pull-through cache caches what it gets of the mirror', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startDockerRegistry(t)
  const image = buildImage({ seed: 'cached' })
  await pushImage(registry.url, 'library/app', '1', image)
  const mirror = await startMirror(t, [place(registry)])
  const cache = await startDockerRegistry(t, { proxyOf: mirror.url })
  const get = async (path: string) => {
    const accept = image.mediaType
    const response = await fetch(`${cache.url}/v2/library/app/${path}`, { headers: { accept } })
    return Buffer.from(await response.arrayBuffer())
  }

  const manifest = await get('manifests/1')
  const layer = await get(`blobs/${layerOf(image)}`)

  assert.deepEqual(manifest, image.bytes)
  assert.deepEqual(layer, image.blobs[1]?.bytes)
})
