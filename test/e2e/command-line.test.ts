import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startContainerd } from '../support/containerd.ts'
import { MAIN, startDaemon } from '../support/daemon.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { checkExamples, withoutWaiting } from '../support/examples.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { startProgram } from '../support/program.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

const DOCUMENT = new URL('../../docs/command-line.md', import.meta.url)

/** Runs the program to its end; both its streams, as they came, but for whom it waited for. */
async function command(...args: readonly string[]) {
  const program = startProgram(process.execPath, [...MAIN, ...args])
  await program.ended()
  return { code: program.exitCode(), output: withoutWaiting(program.output()) }
}

test('the commands of docs/command-line.md print what it says', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const hub = await startDockerRegistry(t)
  const [nginx, app] = [buildImage(), buildImage({ seed: 'app' })]
  await pushImage(hub.url, 'library/nginx', 'latest', nginx)
  await pushImage(hub.url, 'team/app', '1.2', app)
  const http = { listen: `unix://${join(temporaryFolder(t), 'http.sock')}` }
  const daemon = await startDaemon(t, { config: { address: hub.url, http } })

  const count = await checkExamples(DOCUMENT, {
    configFile: daemon.configFile,
    standsFor: { 'hub.corp:5000': hub.host },
  })

  assert.ok(count >= 9, `${count} examples`)
})

test('the same registries are told of with the service and without it, and status ends with 1 when one is down', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const hub = await startDockerRegistry(t)
  await pushImage(hub.url, 'team/app', '1', buildImage())
  const listen = `unix://${join(temporaryFolder(t), 'http.sock')}`
  const daemon = await startDaemon(t, { config: { address: hub.url, http: { listen } } })
  const asked = [
    ['registry', 'images', '--json'],
    ['registry', 'tags', hub.host, 'team/app', '--json'],
  ].map((args) => [...args, '-f', daemon.configFile])

  const withService = [await command(...(asked[0] ?? [])), await command(...(asked[1] ?? []))]
  const counted = await command('stats', '--json', '-f', daemon.configFile)
  await daemon.stop()
  const without = [await command(...(asked[0] ?? [])), await command(...(asked[1] ?? []))]
  const uncounted = await command('stats', '-f', daemon.configFile)
  await hub.stop()
  const down = await command('registry', 'status', '-f', daemon.configFile)

  assert.deepEqual(without, withService)
  assert.deepEqual(JSON.parse(without[1]?.output ?? ''), {
    registry: hub.host,
    repository: 'team/app',
    tags: ['1'],
    next: null,
  })
  assert.equal(JSON.parse(counted.output).resolutions.failed, 0)
  assert.deepEqual([counted.code, uncounted.code, down.code], [0, 6, 1])
  assert.match(uncounted.output, new RegExp(`no service answers at ${listen}`))
  assert.match(down.output, /what it makes of the registries is not known/)
  assert.match(down.output, / {2}no +- .*Z {2}- .*\n.* UNAVAILABLE: .*ECONNREFUSED/)
})

test('the short ID that images shows is enough to remove the image', async (t) => {
  if (!requireStack(t, RUNTIME_PROGRAMS)) return
  const [containerd, hub] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  const image = buildImage()
  await pushImage(hub.url, 'library/nginx', 'latest', image)
  const { configFile } = await startDaemon(t, {
    cri: containerd.socketPath,
    config: { address: hub.url },
  })
  await command('pull', 'nginx', '-f', configFile)

  const listed = await command('images', '-f', configFile)
  const [, id = ''] = /nginx:latest +\w{12} +(\w{12}) /.exec(listed.output) ?? []
  const removed = await command('rmi', id, '-f', configFile)
  const after = await command('images', '--json', '-f', configFile)

  assert.ok(image.imageId.startsWith(`sha256:${id}`), listed.output)
  assert.deepEqual(removed, { code: 0, output: '' })
  assert.deepEqual(JSON.parse(after.output), { images: [] })
})
