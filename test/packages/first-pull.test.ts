import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { buildTarball } from '../../scripts/release/packages.ts'
import { chrootNode } from '../support/chroot-node.ts'
import { startContainerd } from '../support/containerd.ts'
import { startDockerRegistry } from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { startProgram } from '../support/program.ts'
import { RUNTIME_PROGRAMS, requireStack, temporaryFolder } from '../support/stack.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x64'
const MAX_COMMANDS = 5

/** The commands of README from the tarball to an image pulled and back, without their comments. */
function commandsOfReadme(): readonly string[] {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const [, block = ''] = /```sh\n(tar -xzf [\s\S]*?)```/.exec(readme) ?? []
  return block
    .split('\n')
    .map((line) => line.replace(/\s+#.*/, '').trim())
    .filter((line) => line !== '')
}

test('the commands of README, at most five, lead from the tarball to an image pulled, and to a node as it was before', async (t) => {
  const commands = commandsOfReadme()
  const pull = commands.findIndex((command) => command.includes('image-resolver pull '))
  assert.ok(pull > 0 && pull < MAX_COMMANDS, commands.join('\n'))
  assert.match(commands.at(-1) ?? '', /image-resolver uninstall/)
  const programs = ['tar', 'gzip']
  if (!requireStack(t, [...RUNTIME_PROGRAMS, ...programs, 'chroot', 'ldd', 'mount', 'unshare']))
    return
  const [, version = ''] = /image-resolver-([\d.]+)-linux/.exec(commands[0] ?? '') ?? []
  const [containerd, registry] = await Promise.all([startContainerd(t), startDockerRegistry(t)])
  await pushImage(registry.url, 'library/nginx', 'latest', buildImage())
  const node = await chrootNode(t, containerd, programs)
  const at = (path: string): string => join(node.root, path)
  const [out, nodejs] = [temporaryFolder(t), temporaryFolder(t)]
  cpSync(process.execPath, join(nodejs, 'bin/node'))
  writeFileSync(join(nodejs, 'LICENSE'), 'as Node has it\n')
  const tarball = await buildTarball({
    root: ROOT,
    version,
    epoch: 1_700_000_000,
    node: nodejs,
    architecture: ARCHITECTURE,
    effort: 'quick',
    out,
  })
  for (const folder of ['proc', 'tmp']) mkdirSync(at(folder), { recursive: true })
  writeFileSync(at('bin/sudo'), '#!/bin/sh\nexec "$@"\n', { mode: 0o755 })
  // As it is on a node, but for the test's own registry, and no port of this machine.
  const http = { listen: 'unix:///run/http.sock' }
  const config = { shim: '/run/shim.sock', address: registry.url, http }
  writeFileSync(at('etc/image-resolver.yaml'), JSON.stringify(config))
  const before = node.snapshot()
  cpSync(tarball, at(`image-resolver-${version}-linux-x64.tar.gz`))

  const shell = async (command: string): Promise<void> => {
    const inRoot = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/sh -c "$1"'
    const program = startProgram(
      'unshare',
      [
        '-m',
        'sh',
        '-c',
        inRoot,
        node.root,
        command.replace('linux-x64/', `linux-${ARCHITECTURE}/`),
      ],
      { PATH: `${process.env['PATH']}:/usr/local/bin:/bin` },
    )
    await program.ended()
    assert.equal(program.exitCode(), 0, `${command}: ${program.output()}`)
  }
  const started = performance.now()
  for (const command of commands.slice(0, pull + 1)) await shell(command)
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  t.diagnostic(
    `${pull + 1} commands from the tarball to an image pulled: ${seconds} s, at a load of ${loadavg()[0]}`,
  )
  const status = await node.kubelet().imageStatus('docker.io/library/nginx:latest')
  const log = node.service()?.output() ?? ''
  for (const command of commands.slice(pull + 1)) await shell(command)

  assert.ok(status !== undefined, 'the image is not there')
  assert.match(log, /"msg":"pulled"/, 'it was not pulled through the service')
  assert.deepEqual(node.snapshot(), before)
})
