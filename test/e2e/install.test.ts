import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type ChrootNode, chrootNode } from '../support/chroot-node.ts'
import { startContainerd } from '../support/containerd.ts'
import { type DockerRegistry, startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

// A real containerd, the built program, and a root that is entered by chroot. What stands for systemd is the test.

const PROGRAMS = [...RUNTIME_PROGRAMS, 'chroot', 'ldd']
const HOSTS = 'etc/containerd/certs.d/plain.corp_5000_/hosts.toml'

interface Scene {
  readonly node: ChrootNode
  readonly registry: DockerRegistry
  /** A configuration for the service. */
  readonly config: string
  configure(more?: object): string
}

async function scene(t: TestContext): Promise<Scene> {
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const node = await chrootNode(t, containerd)
  const folder = temporaryFolder(t)
  function configure(more: object = {}): string {
    const file = join(folder, 'image-resolver.yaml')
    const plain = { address: 'http://plain.corp:5000', upstreams: ['quay.io'] }
    const http = { listen: 'unix:///run/http.sock' }
    const base = { shim: '/run/shim.sock', address: registry.url, registries: [plain], http }
    // JSON is YAML.
    writeFileSync(file, JSON.stringify({ ...base, ...more }))
    return file
  }
  return { node, registry, config: configure(), configure }
}

/** Runs a command to its end. */
async function run(node: ChrootNode, home: string, ...args: readonly string[]) {
  const program = node.start(home, ...args)
  await program.ended()
  return { code: program.exitCode(), output: program.output(), stdout: program.stdout() }
}

/** Pulls and asks for images all the time, as kubelet does. */
function load(t: TestContext, node: ChrootNode, image: string) {
  let isOver = false
  t.after(() => {
    isOver = true
  })
  const failures: unknown[] = []
  let calls = 0
  const work = (async () => {
    while (!isOver && failures.length === 0) {
      const kubelet = node.kubelet()
      try {
        await kubelet.pullImage(image)
        const status = await kubelet.imageStatus(image)
        if (status === undefined) failures.push(`${image} is not there after its pull`)
        await kubelet.removeImage(image)
        calls += 3
      } catch (thrown) {
        failures.push(thrown)
      }
      await turn()
    }
  })()
  return {
    /** Resolves after some more calls. */
    async more(): Promise<void> {
      const before = calls
      while (calls < before + 12 && failures.length === 0) await turn()
    },
    async end(): Promise<readonly unknown[]> {
      isOver = true
      await work
      return failures
    },
  }
}

test('under load no pull fails while the service is installed and uninstalled, and every file is as it was', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { config, node, registry } = await scene(t)
  const image = `${registry.host}/team/app:1`
  await pushImage(registry.url, 'team/app', '1', buildImage())
  const bare = node.snapshot()
  const home = node.program('1.0.0')
  const pulls = load(t, node, image)
  await pulls.more()

  const installed = await run(node, home, 'install', '--config', config, '--restart-kubelet')
  assert.equal(installed.code, 0, installed.output)
  await pulls.more()
  const hosts = readFileSync(join(node.root, HOSTS), 'utf8')
  const between = node.snapshot()
  const log = node.service()?.output() ?? ''
  const again = await run(node, home, 'install', '--restart-kubelet')
  const second = node.snapshot()
  const status = await run(node, home, 'status', '--json')
  const refused = await run(node, home, 'uninstall')
  await pulls.more()
  const uninstalled = await run(node, home, 'uninstall', '--restart-kubelet')
  await pulls.more()
  const failures = await pulls.end()

  assert.deepEqual(failures, [])
  assert.match(log, /"msg":"pulled"/, 'kubelet does not use the service')
  assert.match(hosts, /\[host\."http:\/\/plain\.corp:5000"\]/)
  // What takes more than a second is told meanwhile.
  const said = again.output.replace(/^.*(?:still waiting for|: restarted).*\n/gm, '')
  assert.deepEqual([again.code, said], [0, 'image-resolver 1.0.0: nothing to change\n'])
  assert.deepEqual(second.filter(isStable), between.filter(isStable))
  const { problems, running, kubelet } = JSON.parse(status.stdout)
  assert.deepEqual(
    [status.code, problems, running.version, kubelet.leads],
    [0, [], '1.0.0', 'images'],
  )
  assert.equal(refused.code, 6)
  assert.match(refused.output, /restart kubelet\.service, then uninstall again/)
  assert.equal(uninstalled.code, 0, uninstalled.output)
  assert.equal(node.restarts(), 2)
  assert.deepEqual(node.snapshot(), bare)
})

/** What the service itself writes in its own time. */
function isStable(line: string): boolean {
  return !/^var\/(?:lib|cache)\/image-resolver\/(?!install)/.test(line)
}

test('a service that does not get ready is put back: on a bare node to nothing, else to the version before', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { configure, node } = await scene(t)
  const bare = node.snapshot()
  const broken = { cri: '/run/nothing.sock' }
  const [first, second] = [node.program('1.0.0'), node.program('2.0.0')]
  // Until a busy machine has the service say why it is not ready.
  const wait = ['--wait', '8', '--restart-kubelet']

  const onBare = await run(node, first, 'install', '--config', configure(broken), ...wait)
  const afterBare = node.snapshot()
  const good = await run(node, first, 'install', '--config', configure(), '--restart-kubelet')
  const before = node.snapshot()
  const upgrade = await run(node, second, 'install', '--config', configure(broken), ...wait)
  const after = node.snapshot()
  await node.kubelet().listImages()
  const status = await run(node, first, 'status', '--json')
  const upgraded = await run(node, second, 'install', '--config', configure())
  const running = await run(node, second, 'status', '--json')
  const uninstalled = await run(node, second, 'uninstall', '--restart-kubelet')

  assert.equal(onBare.code, 6, onBare.output)
  assert.match(
    onBare.output,
    /did not get ready: cri: .*nothing\.sock.*what was changed is put back/,
  )
  assert.deepEqual(afterBare, bare)
  assert.equal(good.code, 0, good.output)
  assert.equal(upgrade.code, 6, upgrade.output)
  assert.deepEqual(after.filter(isStable), before.filter(isStable))
  assert.deepEqual([status.code, JSON.parse(status.stdout).running.version], [0, '1.0.0'])
  assert.equal(upgraded.code, 0, upgraded.output)
  assert.equal(JSON.parse(running.stdout).running.version, '2.0.0')
  assert.equal(uninstalled.code, 0, uninstalled.output)
  assert.deepEqual(node.snapshot(), bare)
})

test('an install that is killed at any step is taken back by uninstall, and continued by install', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { config, node } = await scene(t)
  const bare = node.snapshot()
  const home = node.program('1.0.0')
  const args = ['install', '--config', config, '--restart-kubelet']
  const steps = [
    /versions\/.*: written/,
    /image-resolver\.yaml: written/,
    /image-resolver\.service: written/,
    /image-resolver\.service: started/,
    /image-resolver\.service: ready/,
    /leads kubelet/,
    /kubelet\.service: restarted/,
  ]
  for (const step of steps) {
    const killed = node.start(home, ...args)
    await killed.line(step)
    await killed.kill()
    await node.settled()
    const { code, output } = await run(node, home, 'uninstall', '--restart-kubelet')

    assert.equal(code, 0, `${step}: ${output}`)
    assert.deepEqual(node.snapshot(), bare, String(step))
    assert.equal(node.service(), undefined)
  }

  const killed = node.start(home, ...args)
  await killed.line(/leads kubelet/)
  await killed.kill()
  await node.settled()
  const continued = await run(node, home, ...args)
  const status = await run(node, home, 'status')
  const { code } = await run(node, home, 'uninstall', '--restart-kubelet')

  assert.deepEqual([continued.code, status.code, code], [0, 0, 0], continued.output + status.output)
  assert.deepEqual(node.snapshot(), bare)
})

test('a file that was changed since is left and named, and kubelet leads to the runtime again', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { config, node } = await scene(t)
  const home = node.program('1.0.0')
  const file = join(node.root, 'var/lib/kubelet/kubelet-config.yaml')

  await run(node, home, 'install', '--config', config, '--restart-kubelet')
  writeFileSync(file, `${readFileSync(file, 'utf8')}maxPods: 80\n`)
  const { code, output } = await run(node, home, 'uninstall', '--restart-kubelet')

  const text = readFileSync(file, 'utf8')
  assert.deepEqual([code, node.restarts()], [1, 2])
  assert.match(output, /kubelet-config\.yaml: left, since it was changed by others/)
  assert.match(
    text,
    /imageServiceEndpoint: unix:\/\/\/run\/containerd\/containerd\.sock\nmaxPods: 80\n$/,
  )
  await node.kubelet().listImages()
})

test('kubelet is led back to the runtime after a second installation with another socket, and keeps what others wrote between the two', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { config, configure, node } = await scene(t)
  const home = node.program('1.0.0')
  const file = join(node.root, 'var/lib/kubelet/kubelet-config.yaml')
  const original = readFileSync(file, 'utf8')

  await run(node, home, 'install', '--config', config, '--restart-kubelet')
  writeFileSync(file, `${readFileSync(file, 'utf8')}maxPods: 80\n`)
  const other = configure({ shim: '/run/other.sock' })
  const second = await run(node, home, 'install', '--config', other, '--restart-kubelet')
  const led = readFileSync(file, 'utf8')
  await node.kubelet().listImages()
  const { code, output } = await run(node, home, 'uninstall', '--restart-kubelet')

  assert.equal(second.code, 0, second.output)
  assert.match(led, /imageServiceEndpoint: unix:\/\/\/run\/other\.sock\nmaxPods: 80\n$/)
  assert.deepEqual([code, node.restarts()], [1, 3], output)
  assert.equal(
    readFileSync(file, 'utf8'),
    led.replace('/run/other.sock', '/run/containerd/containerd.sock'),
  )
  assert.equal(readFileSync(`${file}.before-image-resolver`, 'utf8'), original)
  await node.kubelet().listImages()
})

test('an installation whose list is lost is listed anew by the next one, and uninstalled but for its configuration', async (t) => {
  if (!requireStack(t, PROGRAMS)) return
  const { config, node } = await scene(t)
  const home = node.program('1.0.0')
  // Of folders that it has made it cannot be known.
  const files = () =>
    node.snapshot().filter((line) => !/^\S+ 4\d+ |^etc\/image-resolver\.yaml /.test(line))
  const bare = files()

  await run(node, home, 'install', '--config', config, '--restart-kubelet')
  rmSync(join(node.root, 'var/lib/image-resolver/install.json'))
  const lost = await run(node, home, 'status')
  const refused = await run(node, home, 'uninstall', '--restart-kubelet')
  const second = await run(node, home, 'install', '--config', config, '--restart-kubelet')
  const status = await run(node, home, 'status')
  const { code, output } = await run(node, home, 'uninstall', '--restart-kubelet')

  assert.equal(lost.code, 1)
  assert.match(lost.output, /the list of what was installed is lost: run image-resolver install/)
  assert.equal(refused.code, 6, refused.output)
  assert.deepEqual([second.code, status.code], [0, 0], second.output + status.output)
  assert.equal(code, 0, output)
  assert.deepEqual(files(), bare)
  await node.kubelet().listImages()
})
