import assert from 'node:assert/strict'
import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { load } from 'js-yaml'
import { until } from '../conformance/cri/poll.ts'
import { startContainerd } from '../support/containerd.ts'
import { FLAGS, MAIN, startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { FakeRegistry, serve } from '../support/fake-registry.ts'
import { buildImage, buildIndex, pushImage } from '../support/images.ts'
import { startProgram } from '../support/program.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

async function command(...args: readonly string[]) {
  const program = startProgram(process.execPath, [...MAIN, ...args])
  await program.ended()
  return { code: program.exitCode(), output: program.stdout() }
}

test('what a check finds missing is copied by its plan, and then everything pulls without the origin', async (t) => {
  if (!requireStack(t, [...RUNTIME_PROGRAMS, 'skopeo'])) return
  const [containerd, mirror, origin] = await Promise.all([
    startContainerd(t),
    startDockerRegistry(t),
    startDockerRegistry(t),
  ])
  const here = [mirror, origin]
  const pushed = { both: here, origin: [origin], mirror: [mirror], nowhere: [] }
  for (const [name, registries] of Object.entries(pushed)) {
    for (const { url } of registries) {
      await pushImage(url, `team/${name}`, '1', buildImage({ seed: name }))
    }
  }
  const { configFile } = await startDaemon(t, {
    cri: containerd.socketPath,
    config: {
      address: mirror.url,
      registries: [{ address: origin.url, upstreams: [origin.host] }],
    },
  })
  const folder = temporaryFolder(t)
  const list = join(folder, 'images.txt')
  const images = Object.keys(pushed).map((name) => `${origin.host}/team/${name}:1`)
  writeFileSync(list, `${images.join('\n')}\n`)

  const first = await command('check', list, '--json', '-f', configFile)
  // A registry logs a request after its answer.
  const asked = /method=HEAD .*uri=\/v2\/team\/both\/manifests\/1 .*useragent=image-resolver/
  await until(async () => asked.test(mirror.log() + origin.log()))
  const logs = mirror.log() + origin.log()
  const plan = await command('check', list, '--plan', 'skopeo', '-f', configFile)
  execFileSync('sh', ['-ec', plan.output])
  const second = await command(
    'check',
    list,
    '--json',
    '--fail-on',
    'origin-only',
    '-f',
    configFile,
  )
  const states = (output: string): readonly string[] =>
    JSON.parse(output).images.map(({ state }: { state: string }) => state)

  assert.equal(first.code, 1)
  assert.doesNotMatch(logs, /uri=\S*\/blobs\/.*useragent=image-resolver/)
  assert.deepEqual(states(first.output), ['everywhere', 'origin-only', 'private-only', 'gone'])
  assert.equal(plan.output.split('\n').length, 2, plan.output)
  assert.deepEqual(states(second.output), ['everywhere', 'everywhere', 'private-only', 'gone'])
  assert.equal(second.code, 0)

  await origin.stop()
  for (const image of images.slice(0, 3)) {
    assert.equal((await command('pull', image, '-f', configFile)).code, 0, image)
  }

  const onNode = await command('check', '--all', '--json', '--fail-on', 'gone', '-f', configFile)
  const used = await command('check', '--json', '-f', configFile)
  const named = JSON.parse(onNode.output).images.map(
    (each: { reference: string }) => each.reference,
  )
  assert.deepEqual(named.sort(), images.slice(0, 3).sort())
  assert.deepEqual(states(used.output), [])
})

test('a file that is pinned is deployed as it was, whatever its tags become', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const hub = await startDockerRegistry(t)
  const [first, second] = [buildImage({ seed: 'first' }), buildImage({ seed: 'second' })]
  await pushImage(hub.url, 'team/app', '1', first)
  const folder = temporaryFolder(t)
  const [config, pod] = [join(folder, 'config.yaml'), join(folder, 'pod.yaml')]
  writeFileSync(config, JSON.stringify({ address: hub.url }))
  const text = `kind: Pod\napiVersion: v1\nspec: {containers: [{image: ${hub.host}/team/app:1}]}\n`
  writeFileSync(pod, text)

  const unpinned = await command('pin', pod, '--check', '-f', config)
  const pinned = await command('pin', pod, '--write', '-f', config)
  await pushImage(hub.url, 'team/app', '1', second)
  const drift = await command('drift', pod, '-f', config)
  const again = await command('pin', pod, '--write', '-f', config)

  assert.deepEqual([unpinned.code, pinned.code, drift.code, again.code], [1, 0, 1, 0])
  assert.equal(readFileSync(pod, 'utf8'), text.replace('app:1', `app:1@${first.digest}`))
  assert.match(drift.output, new RegExp(`has moved: it is ${second.digest} now`))
})

test('the service checks the images in use by itself, and shows what came of it', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const containerd = await startContainerd(t)
  const daemon = await startDaemon(t, {
    cri: containerd.socketPath,
    config: { check: { interval: '1m' }, http: { listen: '127.0.0.1:0', token: 'secret' } },
  })
  const ask = async (path: string) => {
    const headers = { authorization: 'Bearer secret' }
    return (await fetch(new URL(path, daemon.httpUrl()), { headers })).text()
  }
  // The first one is within a tenth of the interval.
  for (;;) {
    const { checkedAt, enabled, images } = JSON.parse(await ask('/check'))
    assert.deepEqual([enabled, images], [true, []])
    if (checkedAt !== null) break
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  assert.match(await ask('/metrics'), /^image_resolver_images_in_use\{state="gone"\} 0$/m)
})

test('a thousand images are checked as fast as three slow registries allow, in little memory', async (t) => {
  if (!requireStack(t, ['time'])) return
  const image = buildImage()
  const names = Array.from({ length: 1_000 }, (_, n) => `team/app-${n}`)
  const registries = await Promise.all([1, 2, 3].map(() => FakeRegistry.start(t)))
  for (const registry of registries) {
    for (const name of names) registry.put(name, '1', image)
    registry.behaviour = (exchange) => void setTimeout(() => serve(exchange), 20)
  }
  const [first, ...others] = registries.map(({ url }) => url)
  const folder = temporaryFolder(t)
  const [config, list] = [join(folder, 'config.yaml'), join(folder, 'images.txt')]
  const entries = others.map((address) => ({ address }))
  writeFileSync(
    config,
    JSON.stringify({ address: first, registries: entries, mirrorsOnly: ['*.corp'] }),
  )
  writeFileSync(list, `${names.map((name) => `hub.corp/${name}:1`).join('\n')}\n`)

  const started = performance.now()
  const program = [process.execPath, ...FLAGS, ...MAIN]
  const time = ['-f', '%M', ...program, 'check', list, '--json', '-f', config]
  const { stdout, stderr } = await promisify(execFile)('/usr/bin/time', time, {
    maxBuffer: 64 * 1024 * 1024,
  })
  const seconds = (performance.now() - started) / 1_000

  const { images, requests } = JSON.parse(stdout)
  const mebibytes = Number(/^(\d+)$/m.exec(stderr)?.[1]) / 1024
  t.diagnostic(`${seconds.toFixed(1)} s, ${mebibytes.toFixed(0)} MiB`)
  assert.ok(
    images.every(({ state }: { state: string }) => state === 'everywhere'),
    stdout.slice(0, 2_000),
  )
  assert.deepEqual(requests, { HEAD: 3_000, GET: 0, POST: 0 })
  assert.ok(mebibytes < 100, `${mebibytes} MiB`)
  // By themselves the registries take 1.3 s: a thousand times 20 ms, 16 at once.
  assert.ok(seconds < 120, `${seconds} s`)
})

const PAGE = readFileSync(new URL('../../docs/check-and-pin.md', import.meta.url), 'utf8')

/** The commands of a recipe for CI, which begins with that comment, as the page has it. */
function recipe(comment: string): readonly string[] {
  const [, block = ''] = new RegExp(`\`\`\`yaml\n(# ${comment}[\\s\\S]*?)\`\`\``).exec(PAGE) ?? []
  const found: string[] = []
  JSON.stringify(load(block), (key, value) => {
    const lines = key === 'run' ? [value] : key === 'script' ? value : []
    found.push(...lines.filter((line: unknown) => typeof line === 'string'))
    return value
  })
  assert.ok(found.length > 0, comment)
  return found
}

test('the recipes for CI fail where the page says so, and only there', async (t) => {
  const [hub, origin] = await Promise.all([FakeRegistry.start(t), FakeRegistry.start(t)])
  const ARM64 = { os: 'linux', architecture: 'arm64' }
  const index = (seed: string) =>
    buildIndex([buildImage({ seed }), buildImage({ seed, platform: ARM64 })])
  const push = (seed: string, ...registries: readonly FakeRegistry[]): void => {
    for (const registry of registries) registry.put('team/app', '1', index(seed))
  }
  push('first', hub, origin)
  const folder = temporaryFolder(t)
  const [config, answers] = [join(folder, 'config.yaml'), join(folder, 'check.answers')]
  const registries = [{ address: origin.url, upstreams: [origin.host] }]
  writeFileSync(config, JSON.stringify({ address: hub.url, registries }))
  mkdirSync(join(folder, 'deploy'))
  const pod = join(folder, 'deploy', 'app.yaml')
  const text = `kind: Pod\napiVersion: v1\nspec: {containers: [{image: "${origin.host}/team/app:1"}]}\n`
  writeFileSync(pod, text)
  /** In a shell that ends with the first failure, as both have it. */
  const codeOf = async (commands: readonly string[], environment = {}) => {
    const program = [process.execPath, ...MAIN].map((word) => `'${word}'`).join(' ')
    const script = commands
      .join('\n')
      .replace(/image-resolver (\w+)/g, `${program} $1 -f '${config}'`)
      .replaceAll('/tmp/check.answers', answers)
    const started = startProgram('sh', ['-ec', `cd '${folder}'\n${script}`], environment)
    await started.ended()
    return { code: started.exitCode(), output: started.output() }
  }
  const [github, gitlab, nightly] = ['.github/workflows', '.gitlab-ci.yml', 'A job each night'].map(
    recipe,
  ) as [readonly string[], readonly string[], readonly string[]]

  const unpinned = await codeOf(github, { GITHUB_ACTIONS: 'true' })
  assert.equal(unpinned.code, 1)
  assert.match(unpinned.output, /^::error file=deploy\/app\.yaml,line=3,col=29::/m)
  assert.equal((await codeOf(gitlab)).code, 1)
  assert.equal((await codeOf(['image-resolver pin deploy/ --write'])).code, 0)
  assert.notEqual(readFileSync(pod, 'utf8'), text)
  for (const commands of [github, gitlab, nightly]) {
    const { code, output } = await codeOf(commands)
    assert.equal(code, 0, output)
  }
  assert.deepEqual(
    JSON.parse(readFileSync(join(folder, 'images.json'), 'utf8')).images[0].state,
    'kept',
  )

  push('second', origin)
  assert.equal((await codeOf(nightly.slice(0, 1))).code, 0, 'the first registry has the old image')
  push('second', hub)
  const moved = await codeOf(nightly.slice(0, 1))
  assert.equal(moved.code, 1)
  assert.match(moved.output, /deploy\/app\.yaml:3:29: .* has moved: it is sha256:/)
  assert.equal((await codeOf(github)).code, 1)
})
