import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../support/certificate.ts'
import { BY_DEFAULT } from '../support/daemon.ts'
import {
  type DockerRegistry,
  REGISTRY_USER,
  startDockerRegistry,
} from '../support/docker-registry.ts'
import { buildImage, pushImage, type TestImage } from '../support/images.ts'
import { startRegistryProxy } from '../support/registry-proxy.ts'
import { resolveJson, runResolve } from '../support/resolve-command.ts'
import { requireStack, temporaryFolder } from '../support/stack.ts'

const IMAGE = buildImage({ seed: 'ours' })
const OTHER = buildImage({ seed: 'another' })
const PLATFORM = ['--platform', 'linux/amd64']

async function startWith(t: TestContext, image: TestImage): Promise<DockerRegistry> {
  const registry = await startDockerRegistry(t)
  await pushImage(registry.url, 'library/app', '1', image)
  return registry
}

/** From now on it speaks TLS; returns its authority's file, and the address to configure. */
async function overTls(t: TestContext, registry: DockerRegistry) {
  const certificate = createCertificate()
  const ca = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(ca, certificate.cert)
  await registry.stop()
  await registry.start({ tls: certificate })
  return { ca, address: `https://${registry.host}` }
}

test('docker-registry over TLS is believed with the `ca` of its entry, and not without', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startWith(t, IMAGE)
  const { address, ca } = await overTls(t, registry)
  const reference = `${registry.host}/library/app:1`

  const answer = await resolveJson(t, { registries: [{ address, ca }] }, reference, ...PLATFORM)
  const anyone = { registries: [{ address, insecureSkipVerify: true }] }
  const careless = await resolveJson(t, anyone, reference, ...PLATFORM)
  const distrusted = await runResolve(t, { registries: [{ address }] }, reference, ...PLATFORM)

  assert.deepEqual([answer.imageId, careless.imageId], [IMAGE.imageId, IMAGE.imageId])
  assert.equal(distrusted.code, 6)
  assert.match(distrusted.stderr, /certificate authority is not trusted/)
})

test('docker-registry over TLS is a mirror by the hosts.toml of containerd', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startWith(t, IMAGE)
  const { address, ca } = await overTls(t, registry)
  const hostsDir = temporaryFolder(t)
  mkdirSync(join(hostsDir, 'docker.io'))
  writeFileSync(
    join(hostsDir, 'docker.io', 'hosts.toml'),
    `server = "${address}"\n[host."${address}"]\nca = "${ca}"\n`,
  )

  const answer = await resolveJson(t, { hostsDir }, 'app:1', ...PLATFORM)

  assert.equal(answer.imageId, IMAGE.imageId, JSON.stringify(answer))
  assert.equal(answer.registry, registry.host)
})

test('the next registry answers when one with TLS, one with users and one that is silent do not', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const last = await startWith(t, IMAGE)
  const tls = await startWith(t, IMAGE)
  const distrusted = (await overTls(t, tls)).address
  const closed = await startDockerRegistry(t, { auth: true })
  const silent = await startRegistryProxy(t, last.url)
  silent.behave({ kind: 'hang' })
  const config = {
    // Of the silent one; the others answer by then.
    ...BY_DEFAULT,
    probeBudget: '5s',
    registries: [
      { address: distrusted, priority: 900 },
      { address: closed.url, priority: 800, auth: `${REGISTRY_USER.username}:no-password` },
      { address: silent.url, priority: 700 },
      { address: last.url, priority: 600 },
    ],
  }

  const found = await resolveJson(t, config, 'app:1', '--explain', ...PLATFORM)
  const told = await runResolve(t, config, 'app:1', '--explain', ...PLATFORM)

  assert.equal(found.imageId, IMAGE.imageId, JSON.stringify(found))
  assert.deepEqual(
    found.candidates
      ?.slice(0, 4)
      .map(({ registry, outcome, chosen }) => [registry, outcome, chosen]),
    [
      [tls.host, 'unreachable', false],
      [closed.host, 'unauthorized', false],
      [silent.host, 'timeout', false],
      [last.host, 'ok', true],
    ],
  )
  assert.equal(told.code, 0)
  assert.match(told.stdout, new RegExp(`├─ ${last.host}/library/app:1`))
  // Asked by HEAD beside the silent one, and for the rest when that one's budget was over.
  assert.match(told.stdout, /HEAD http:\/\/127\.0\.0\.1:\d+\/v2\/library\/app\/manifests\/1: 200/)
  assert.match(
    told.stdout,
    /GET http:\/\/127\.0\.0\.1:\d+\/v2\/library\/app\/manifests\/sha256:\w+: 200/,
  )
  assert.match(told.stdout, /certificate authority is not trusted/)
  assert.doesNotMatch(told.stdout, /no-password/)
})

test('--all asks every registry, and marks the one whose tag leads elsewhere as divergent', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const [one, two, three] = [
    await startWith(t, IMAGE),
    await startWith(t, OTHER),
    await startWith(t, IMAGE),
  ]
  const config = {
    mirrorsOnly: ['docker.io'],
    registries: [
      { address: one.url, priority: 900 },
      { address: two.url, priority: 800 },
      { address: three.url, priority: 700 },
    ],
  }

  const answer = await resolveJson(t, config, 'app:1', '--all', ...PLATFORM)
  const told = await runResolve(t, config, 'app:1', '--all', ...PLATFORM)

  assert.equal(answer.digest, IMAGE.digest, JSON.stringify(answer))
  assert.deepEqual(
    answer.candidates?.map(({ registry, digest, divergent }) => [
      registry,
      digest,
      divergent ?? false,
    ]),
    [
      [one.host, IMAGE.digest, false],
      [two.host, OTHER.digest, true],
      [three.host, IMAGE.digest, false],
    ],
  )
  assert.ok(answer.candidates?.every(({ ms }) => ms !== undefined))
  const places = answer.references.map(({ registry }) => registry)
  assert.deepEqual([...new Set(places)], [one.host, three.host])
  assert.match(told.stdout, new RegExp(`${two.host}/library/app:1`))
  assert.match(told.stdout, new RegExp(OTHER.digest))
})
