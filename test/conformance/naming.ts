import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { TestCriClient } from '../support/cri-client.ts'
import type { Daemon } from '../support/daemon.ts'
import { buildImage, buildIndex, type TestImage } from '../support/images.ts'

/** A node whose images come from a mirror, whatever keeps their names. */
export interface NamingNode {
  /** Through our socket. */
  readonly kubelet: TestCriClient
  /** `host:port` of the mirror. */
  readonly mirror: string
  /** `host:port` of the registry behind it, which nobody has configured. */
  readonly origin: string
  push(repository: string, tag: string, image: TestImage): Promise<void>
  /** No mirror is to be reached, but the registry behind them. */
  stopMirrors(): Promise<void>
  /** Every registry is out of reach. */
  stopRegistries(): Promise<void>
  startRegistries(): Promise<void>
  readonly shim: Pick<Daemon, 'start' | 'stop' | 'kill'>
  /** What this runtime calls an image. */
  idOf(image: TestImage): string
  /** At the runtime itself. */
  pullBehindOurBack(image: string): Promise<void>
  removeBehindOurBack(id: string): Promise<void>
}

export interface NamingConfig {
  readonly pull?: { readonly byDigest: boolean }
}

/** undefined: the test is skipped, and has said why. */
export type StartNamingNode = (
  t: TestContext,
  config: NamingConfig,
) => Promise<NamingNode | undefined>

type Scenario = (node: NamingNode) => Promise<void>

const LATEST = 'docker.io/library/nginx:latest'
const OLD = 'docker.io/library/nginx:old'

/**
 * What a kubelet sees of images that were pulled from a mirror, the same whether their names are kept
 * in the runtime or beside it.
 */
export function namingConformance(runtime: string, start: StartNamingNode): void {
  const scenario = (name: string, run: Scenario, config: NamingConfig = {}): void => {
    test(`${runtime}: ${name}`, async (t) => {
      const node = await start(t, config)
      if (node !== undefined) await run(node)
    })
  }

  scenario('an image has one identity and exactly the names it was asked for by', async (node) => {
    const image = buildIndex([buildImage()])
    await node.push('library/nginx', 'latest', image)

    const ref = await node.kubelet.pullImage('nginx')

    assert.equal(ref, node.idOf(image))
    await assertShown(node, image, formsOf(node, image))
  })

  scenario('the names hold for ten starts of a container, and cost one pull', async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    await node.kubelet.pullImage('nginx:latest')
    await node.stopRegistries()

    for (let count = 0; count < 10; count += 1) {
      assert.equal((await node.kubelet.imageStatus('nginx:latest'))?.id, node.idOf(image))
    }
  })

  scenario('two names of one image stand at that image, and it is there once', async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    await node.push('library/nginx', 'old', image)

    const refs = [await node.kubelet.pullImage('nginx'), await node.kubelet.pullImage('nginx:old')]

    assert.deepEqual(refs, [node.idOf(image), node.idOf(image)])
    const [only, ...others] = await node.kubelet.listImages()
    assert.deepEqual(others, [])
    assert.deepEqual(only?.repoTags, [LATEST, OLD])
    assert.deepEqual(only?.repoDigests, [`docker.io/library/nginx@${image.digest}`])
  })

  scenario('a name with a digest gives no tag', async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    const name = `nginx@${image.digest}`

    await node.kubelet.pullImage(name)

    const found = await node.kubelet.imageStatus(name)
    assert.deepEqual(found?.repoTags, [])
    assert.deepEqual(found?.repoDigests, [`docker.io/library/nginx@${image.digest}`])
    assert.equal(await node.kubelet.imageStatus('nginx'), undefined)
  })

  scenario('a pull that goes on as it came is answered with the ID, too', async (node) => {
    const image = buildIndex([buildImage()])
    await node.push('library/nginx', 'latest', image)
    await node.stopMirrors()
    const name = `${node.origin}/library/nginx:latest`

    const ref = await node.kubelet.pullImage(name)

    assert.equal(ref, node.idOf(image))
    assert.equal((await node.kubelet.imageStatus(name))?.id, ref)
    assert.equal((await node.kubelet.imageStatus(ref))?.id, ref)
    await node.kubelet.removeImage(ref)
    assert.equal(await node.kubelet.imageStatus(name), undefined)
  })

  scenario('an image is removed by each of its names, with all of them', async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    await node.push('library/nginx', 'old', image)

    for (const by of [...formsOf(node, image), 'nginx:old']) {
      await node.kubelet.pullImage('nginx')
      await node.kubelet.pullImage('nginx:old')

      await node.kubelet.removeImage(by)

      await assertGone(node, image, by)
      await node.kubelet.removeImage(by)
    }
  })

  scenario(
    'a tag that moved leads to the new image, and the old one keeps the rest',
    async (node) => {
      const before = buildImage({ seed: 'before' })
      const after = buildImage({ seed: 'after' })
      await node.push('library/nginx', 'latest', before)
      await node.kubelet.pullImage('nginx')
      await node.push('library/nginx', 'latest', after)

      const ref = await node.kubelet.pullImage('nginx')

      assert.equal(ref, node.idOf(after))
      assert.equal((await node.kubelet.imageStatus('nginx'))?.id, node.idOf(after))
      const old = await node.kubelet.imageStatus(`nginx@${before.digest}`)
      assert.equal(old?.id, node.idOf(before))
      assert.deepEqual(old?.repoTags, [])
      assert.deepEqual(old?.repoDigests, [`docker.io/library/nginx@${before.digest}`])
      await node.kubelet.removeImage('nginx')
      assert.equal(await node.kubelet.imageStatus('nginx'), undefined)
      assert.equal((await node.kubelet.listImages()).length, 1)
    },
  )

  for (const how of ['stop', 'kill'] as const) {
    scenario(`the names outlive us, by ${how}, with every registry down`, async (node) => {
      const image = buildImage()
      await node.push('library/nginx', 'latest', image)
      await node.kubelet.pullImage('nginx')
      await node.stopRegistries()

      await node.shim[how]()
      await node.shim.start()

      await assertShown(node, image, formsOf(node, image))
      await node.kubelet.removeImage('nginx')
      await assertGone(node, image, how)
    })
  }

  scenario('an image that is removed behind our back is not there', async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    await node.kubelet.pullImage('nginx')

    await node.removeBehindOurBack(node.idOf(image))

    await assertGone(node, image, 'behind our back')
    await node.kubelet.pullImage('nginx')
    await assertShown(node, image, formsOf(node, image))
  })

  scenario("a mirror's name that was there before stays", async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    const mirrors = `${node.mirror}/library/nginx`
    await node.pullBehindOurBack(`${mirrors}:latest`)

    await node.kubelet.pullImage('nginx')

    const found = await node.kubelet.imageStatus('nginx')
    assert.deepEqual([...(found?.repoTags ?? [])].sort(), [`${mirrors}:latest`, LATEST].sort())
    assert.deepEqual(
      [...(found?.repoDigests ?? [])].sort(),
      [`${mirrors}@${image.digest}`, `docker.io/library/nginx@${image.digest}`].sort(),
    )
  })

  scenario("a mirror's name that is asked for is shown", async (node) => {
    const image = buildImage()
    await node.push('library/nginx', 'latest', image)
    await node.kubelet.pullImage('nginx')
    const mirrors = `${node.mirror}/library/nginx`

    await node.kubelet.pullImage(`${mirrors}:latest`)

    const found = await node.kubelet.imageStatus(`${mirrors}:latest`)
    assert.equal(found?.id, node.idOf(image))
    assert.deepEqual([...(found?.repoTags ?? [])].sort(), [`${mirrors}:latest`, LATEST].sort())
  })

  scenario(
    'where tags are pulled, the names are the same',
    async (node) => {
      const image = buildIndex([buildImage()])
      await node.push('library/nginx', 'latest', image)

      const ref = await node.kubelet.pullImage('nginx')

      assert.equal(ref, node.idOf(image))
      await assertShown(node, image, formsOf(node, image))
    },
    { pull: { byDigest: false } },
  )
}

function formsOf(node: NamingNode, image: TestImage): readonly string[] {
  const id = node.idOf(image)
  const shortId = id.replace('sha256:', '').slice(0, 12)
  return ['nginx', 'nginx:latest', LATEST, `nginx@${image.digest}`, id, shortId]
}

async function assertShown(
  { kubelet, idOf }: NamingNode,
  image: TestImage,
  forms: readonly string[],
): Promise<void> {
  const [listed, ...others] = await kubelet.listImages()
  assert.deepEqual(others, [])
  assert.equal(listed?.id, idOf(image))
  assert.deepEqual(listed.repoTags, [LATEST])
  assert.deepEqual(listed.repoDigests, [`docker.io/library/nginx@${image.digest}`])
  assert.notEqual(listed.size, '0')
  for (const form of forms) assert.deepEqual(await kubelet.imageStatus(form), listed, form)
}

async function assertGone(node: NamingNode, image: TestImage, why: string): Promise<void> {
  assert.deepEqual(await node.kubelet.listImages(), [], why)
  for (const form of formsOf(node, image)) {
    assert.equal(await node.kubelet.imageStatus(form), undefined, `${form}: ${why}`)
  }
}
