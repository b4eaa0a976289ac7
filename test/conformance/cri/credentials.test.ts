import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { requestedAuth, requestedImage } from '../../../src/cri/image-messages.ts'
import type { TestAuth } from '../../support/cri-client.ts'
import type { RegistryProxy } from '../../support/registry-proxy.ts'
import { ALL, onEach, scriptOf } from './behaviour.ts'
import type { CriNode, Places } from './node.ts'
import { outcomeOf } from './outcome.ts'
import { NOTHING } from './wire.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const MIRROR = { username: 'node', password: 'secret-of-the-mirror' }
const POD = { username: 'pod', password: 'secret-of-the-pod' }

const basic = ({ username, password }: typeof POD): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
const told = ({ requests }: RegistryProxy): ReadonlySet<string | undefined> =>
  new Set(requests.map(({ headers }) => headers.authorization))

onEach(
  ALL,
  (behaviour, runtime) => {
    behaviour('32', 'a mirror gets its own credentials, never the pod’s', async (node) => {
      const { image, name } = await node.publish()
      guardAll(node)

      const ref = await node.kubelet.pullImage(name, POD)

      assert.equal(ref, node.idOf(image))
      assert.ok(told(node.m1).has(basic(MIRROR)))
      assert.ok(!told(node.m1).has(basic(POD)))
    })

    behaviour('32', 'a mirror without any gets none, and the origin the pod’s', async (node) => {
      const { image, name } = await node.publish({ domain: node.origin.host, folder: 'plain' })
      guardAll(node)
      const auth: TestAuth = { ...POD, serverAddress: node.origin.url }

      await node.kubelet.pullImage(name, auth)

      assert.equal((await node.kubelet.imageStatus(name))?.id, node.idOf(image))
      assert.ok(node.m2.requests.length > 0)
      assert.deepEqual([...told(node.m2)], [undefined])
      assert.ok(told(node.origin).has(basic(POD)))
    })

    behaviour(
      '33',
      'a mirror that is not trusted needs the consent of the origin',
      async (node) => {
        const { image, name } = await node.publish({ domain: node.origin.host, folder: 'consent' })
        guardAll(node)

        const without = await outcomeOf(node.kubelet.pullImage(name))
        const absent = await node.kubelet.imageStatus(name)
        const pulledBefore = node.m1.requests.length
        const ref = await node.kubelet.pullImage(name, POD)

        assert.notEqual(without.code, 0)
        assert.equal(absent, undefined)
        assert.equal(pulledBefore, 0)
        assert.equal(ref, node.idOf(image))
        assert.ok(node.m1.requests.length > 0)
        assert.ok(!told(node.m1).has(basic(POD)))
      },
    )

    behaviour('33', 'one that the operator trusts serves everybody', async (node) => {
      const { image, name } = await node.publish({ domain: node.origin.host, folder: 'trusted' })
      guardAll(node)

      const ref = await node.kubelet.pullImage(name)

      assert.equal(ref, node.idOf(image))
      assert.deepEqual(node.origin.requests, [])
    })

    behaviour('34', 'no secret is told or written anywhere', async (node) => {
      guardAll(node)
      const good = await node.publish({ domain: node.origin.host, folder: 'consent' })
      await node.kubelet.pullImage(good.name, POD)
      await node.kubelet.pullImage((await node.publish()).name, POD)
      const missing = `${node.origin.host}/consent/missing:1`
      const failed = await outcomeOf(node.kubelet.pullImage(missing, POD))
      const pages = ['/metrics', '/config', '/stats', `/resolve?ref=${missing}&explain=true`]
      const answers = await Promise.all(pages.map((page) => node.get(page)))
      // What the cache keeps is written at the end.
      await node.daemon.stop()

      const texts = {
        log: node.daemon.program().output(),
        error: JSON.stringify(failed),
        state: filesBelow(node.stateFolder),
        pages: JSON.stringify(answers),
      }

      await node.daemon.start()
      assert.match(texts.log, /"pulled"/)
      assert.notEqual(failed.code, 0)
      assert.match(texts.pages, /image_resolver_/)
      for (const [where, text] of Object.entries(texts)) {
        for (const { password, username } of [MIRROR, POD]) {
          const pair = Buffer.from(`${username}:${password}`).toString('base64')
          for (const secret of [password, pair]) assert.ok(!text.includes(secret), where)
        }
      }
    })

    // What containerd is told shows in its own requests, above.
    if (runtime === 'containerd') return
    behaviour('32', 'the runtime is told for whom credentials are', async (node) => {
      const hub = await node.publish()
      const own = await node.publish({ domain: node.origin.host, folder: 'plain' })
      guardAll(node)
      const auth = { ...POD, serverAddress: 'odd as it came' }

      await node.kubelet.pullImage(hub.name, auth)
      await node.kubelet.pullImage(own.name, auth)

      const sent = await authsTo(node)
      const empty = { auth: '', identityToken: '', registryToken: '' }
      assert.deepEqual(sent.get(`${node.m1.host}/${hub.path}@${hub.image.digest}`), {
        ...MIRROR,
        ...empty,
        serverAddress: node.m1.url,
      })
      assert.deepEqual(sent.get(own.name), { ...auth, ...empty })
      // Nobody there is known to m2.
      assert.ok([...sent.keys()].every((image) => !image.startsWith(node.m2.host)))
    })
  },
  configure,
)

function configure({ m1, m2, origin }: Places): object {
  const auth = `${MIRROR.username}:${MIRROR.password}`
  const of = (folder: string) => [`${origin.host}/${folder}`]
  return {
    debug: true,
    address: undefined,
    registries: [
      { address: m1.url, priority: 1000, auth, upstreams: ['docker.io'] },
      { address: m1.url, priority: 900, auth, upstreams: of('trusted') },
      { address: m1.url, priority: 900, auth, upstreams: of('consent'), trusted: false },
      { address: m2.url, priority: 800, upstreams: of('plain') },
      { address: origin.url, priority: 1 },
    ],
  }
}

/** From now on each wants to know who asks: m1 for the node, the others for the pod. */
function guardAll(node: CriNode): void {
  for (const [place, who] of [
    [node.m1, MIRROR],
    [node.m2, POD],
    [node.origin, POD],
  ] as const) {
    place.clear()
    place.behave(({ headers }) =>
      headers.authorization === basic(who)
        ? { kind: 'forward' }
        : { kind: 'answer', status: 401, headers: { 'www-authenticate': 'Basic realm="here"' } },
    )
  }
}

/** What the runtime was told to show, by the image that it was to pull. */
async function authsTo(node: CriNode) {
  const calls = scriptOf(node).fake.calls.filter(({ path }) => path === PULL)
  const requests = await Promise.all(calls.map(async (call) => (await call.request)[0] ?? NOTHING))
  return new Map(requests.map((each) => [requestedImage(each), requestedAuth(each)] as const))
}

function filesBelow(folder: string): string {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  assert.ok(files.length > 0)
  return files
    .map(({ name, parentPath }) => readFileSync(join(parentPath, name), 'utf8'))
    .join('\n')
}
