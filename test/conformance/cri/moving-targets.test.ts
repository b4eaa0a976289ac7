import assert from 'node:assert/strict'
import { buildImage } from '../../support/images.ts'
import type { RecordedRequest } from '../../support/registry-proxy.ts'
import { ALL, onEach } from './behaviour.ts'
import type { CriNode, Places } from './node.ts'

const isTag = ({ path }: RecordedRequest): boolean => path.endsWith('/manifests/1')

onEach(
  ALL,
  (behaviour) => {
    behaviour('13', 'what was resolved is stored, however the tag moves', async (node) => {
      const { full, image: before, name, path, repository } = await published(node)
      const after = node.newImage()
      let isMoved = false
      node.m1.behave(({ path: asked }) => {
        // The first request by digest is the runtime's: by then the tag has been resolved.
        if (asked.includes(path) && asked.includes('sha256:') && !isMoved) {
          isMoved = true
          node.push(`docker.io/${path}`, after)
        }
        return { kind: 'forward' }
      })

      const first = await node.kubelet.pullImage(name)
      const between = await node.kubelet.imageStatus(name)
      const second = await node.kubelet.pullImage(name)

      assert.ok(isMoved)
      assert.deepEqual([first, second], [before, after].map(node.idOf))
      assert.deepEqual([between?.id, between?.repoTags], [first, [full]])
      assert.equal((await node.kubelet.imageStatus(name))?.id, second)
      const old = await node.kubelet.imageStatus(first)
      assert.deepEqual([old?.repoTags, old?.repoDigests], [[], [`${repository}@${before.digest}`]])
    })

    behaviour('13a', 'one mirror keeps the same path of two domains apart', async (node) => {
      const domains = ['docker.io', 'quay.io'] as const
      const images = domains.map((domain) => node.newImage(domain))
      for (const [index, domain] of domains.entries()) {
        node.push(`${domain}/foo/x`, images[index] ?? buildImage())
      }

      const refs = [
        await node.kubelet.pullImage('foo/x:1'),
        await node.kubelet.pullImage('quay.io/foo/x:1'),
      ]

      assert.deepEqual(refs, images.map(node.idOf))
      for (const [index, domain] of domains.entries()) {
        const found = await node.kubelet.imageStatus(`${domain}/foo/x:1`)
        assert.equal(found?.id, refs[index])
        assert.deepEqual(found?.repoTags, [`${domain}/foo/x:1`])
      }
    })

    behaviour('14', 'a mirror that may not resolve never says what a tag is', async (node) => {
      const { image, name } = await node.publish({ domain: node.origin.host })
      const stale = node.newImage('stale')
      node.m2.clear()
      node.m2.behave((request) => (isTag(request) ? answerOf(stale) : { kind: 'forward' }))

      const ref = await node.kubelet.pullImage(name)

      node.m2.behave({ kind: 'forward' })
      assert.equal(ref, node.idOf(image))
      assert.ok(node.m2.requests.some(({ path }) => path.includes(image.digest)))
      assert.deepEqual(node.m2.requests.filter(isTag), [])
    })

    behaviour('14', 'the next is used where that mirror lacks the digest', async (node) => {
      const { image, name } = await node.publish({ domain: node.origin.host })
      const stale = node.newImage('stale')
      node.m2.behave((request) =>
        isTag(request) ? answerOf(stale) : { kind: 'answer', status: 404 },
      )

      const ref = await node.kubelet.pullImage(name)

      node.m2.behave({ kind: 'forward' })
      assert.equal(ref, node.idOf(image))
    })

    // Not "both digests in the log": a mirror that may resolve is believed, and to learn what its
    // origin has would be a question to the internet with every pull of a node that may have none.
    // The log says what was chosen and where; `resolve --all` asks everybody and shows the rest.
    behaviour('14', 'a mirror that may resolve is believed, and the log says so', async (node) => {
      const { image, name } = await published(node)

      const ref = await node.kubelet.pullImage(name)

      assert.equal(ref, node.idOf(image))
      const lines = node.daemon.program().output().split('\n')
      const told = lines.filter((line) => line.includes(image.digest) && line.includes('"pulled"'))
      assert.equal(told.length, 1)
      assert.ok(told[0]?.includes(`"registry":"${node.m1.host}"`))
    })
  },
  registries,
)

function registries({ m1, m2, origin }: Places): object {
  return {
    address: undefined,
    registries: [
      {
        address: m1.url,
        priority: 900,
        upstreams: ['docker.io', 'quay.io'],
        path: '{domain}/{path}',
      },
      { address: m2.url, priority: 800, upstreams: [origin.host], capabilities: ['pull'] },
      { address: origin.url, priority: 1 },
    ],
  }
}

/** At the place below the domain, where m1 has what is docker.io's. */
async function published(node: CriNode) {
  const made = await node.publish()
  node.push(`docker.io/${made.path}`, made.image)
  return made
}

function answerOf({ bytes, digest, mediaType }: ReturnType<CriNode['newImage']>) {
  const headers = { 'content-type': mediaType, 'docker-content-digest': digest }
  return { kind: 'answer', status: 200, headers, body: bytes.toString() } as const
}
