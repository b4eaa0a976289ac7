import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { BASE, baseFolder } from '../../scripts/release/base.ts'
import { billOfMaterials } from '../../scripts/release/bill-of-materials.ts'
import { buildImage, containerConfig } from '../../scripts/release/image.ts'
import { ARCHITECTURES, nodeFolder } from '../../scripts/release/node-binary.ts'
import { loadText } from '../support/config.ts'
import { FLAGS } from '../support/daemon.ts'
import { digestOf } from '../support/images.ts'
import { startTestNode } from '../support/node.ts'
import { type Program, runProgram, startProgram } from '../support/program.ts'
import { writeSkopeoSettings } from '../support/skopeo.ts'
import { RUNTIME_PROGRAMS, requireStack, skipLacking, temporaryFolder } from '../support/stack.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const EPOCH = 1_700_000_000
const TOKEN = 'of-this-test-alone'
/** runc keeps containers of all containerds in one folder. */
const ID = `image-resolver-${process.pid}`

/** The image of both processors; undefined where what it is made of cannot be had. */
async function built(t: TestContext): Promise<string | undefined> {
  let parts: { readonly node: string; readonly base: string }[]
  try {
    parts = await Promise.all(
      ARCHITECTURES.map(async (each) => ({
        node: await nodeFolder(each),
        base: await baseFolder(each),
      })),
    )
  } catch (error) {
    skipLacking(t, String(error))
    return undefined
  }
  const variants = ARCHITECTURES.flatMap((architecture, index) => {
    const part = parts[index]
    return part === undefined ? [] : [{ architecture, ...part }]
  })
  const out = temporaryFolder(t)
  return buildImage({
    root: ROOT,
    version: '1.2.3',
    epoch: EPOCH,
    variants,
    effort: 'quick',
    out,
  })
}

test('containerd pulls the image through image-resolver, and it serves as a container without root and with nothing to write to', async (t) => {
  const programs = [...RUNTIME_PROGRAMS, 'ctr', 'skopeo', 'apt-get', 'dpkg-deb']
  if (!requireStack(t, programs)) return
  const file = await built(t)
  if (file === undefined) return
  let container: Program | undefined
  // Before containerd ends.
  t.after(() => container?.stop())
  const node = await startTestNode(t)
  const home = temporaryFolder(t)
  writeSkopeoSettings(home, node.registry.host)
  const name = `${node.registry.host}/tools/image-resolver:1.2.3`
  const copy = ['copy', '--all', '--dest-tls-verify=false', `oci-archive:${file}`]
  const policy = `--policy=${home}/.config/containers/policy.json`
  await runProgram('skopeo', [policy, ...copy, `docker://${name}`], { HOME: home })
  const raw = ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]
  const index = await runProgram('skopeo', raw)
  const config = join(home, 'config.yaml')
  writeFileSync(config, `address: ${node.registry.url}\n${own().replace(':9430', ':0')}`)
  mkdirSync(join(home, 'secrets'))
  writeFileSync(join(home, 'secrets/token'), TOKEN, { mode: 0o644 })

  await node.kubelet.pullImage('quay.io/tools/image-resolver:1.2.3')
  const mounts = [
    [config, '/etc/image-resolver.yaml'],
    [join(home, 'secrets'), '/run/secrets/image-resolver'],
  ].flatMap(([src, dst]) => ['--mount', `type=bind,src=${src},dst=${dst},options=rbind:ro`])
  const run = ['run', '--rm', '--read-only', '--net-host', ...mounts]
  const ctr = ['--address', node.containerd.socketPath, '--namespace', 'k8s.io']
  const image = 'quay.io/tools/image-resolver:1.2.3'
  container = startProgram('ctr', [...ctr, ...run, image, ID])
  // An installation on the node calls it.
  const call = `process.stdout.write(require('node:child_process').execFileSync('chroot', ['--version']))`
  const other = ['run', '--rm', '--read-only', image, `${ID}-other`]
  const command = ['/opt/image-resolver/node', '--eval', call]
  const said = await runProgram('ctr', [...ctr, ...other, ...command])
  const [, address = ''] = await container.line(/"address":"([^"]+)"/)
  const url = address.replace('0.0.0.0', '127.0.0.1')
  const path = '/resolve?ref=quay.io/tools/image-resolver:1.2.3'
  const headers = { authorization: `Bearer ${TOKEN}` }

  assert.deepEqual(
    JSON.parse(index).manifests.map((each: { platform: object }) => each.platform),
    [
      { architecture: 'amd64', os: 'linux' },
      { architecture: 'arm64', os: 'linux' },
    ],
  )
  assert.match(said, /^chroot \(GNU coreutils\) /)
  assert.equal((await fetch(`${url}/livez`)).status, 200)
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  assert.equal((await fetch(url + path)).status, 401)
  const answer = await fetch(url + path, { headers })
  assert.equal(answer.status, 200)
  assert.ok((await answer.text()).includes(digestOf(index)))
  const mirrored = `${url}/v2/tools/image-resolver/manifests/1.2.3?ns=quay.io`
  assert.equal((await fetch(mirrored, { headers })).status, 200)
  const tasks = await node.containerd.ctr('task', 'list')
  const [, pid = ''] = new RegExp(`^${ID} +(\\d+) `, 'm').exec(tasks) ?? []
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  assert.match(status, /^Uid:\t65532\t65532\t65532\t65532$/m)
  assert.match(status, /^Gid:\t65532\t65532\t65532\t65532$/m)
  assert.match(readFileSync(`/proc/${pid}/mounts`, 'utf8'), /^\S+ \/ overlay ro,/m)
})

test('the same input gives an image of the same bytes, whatever the umask', async (t) => {
  if (!requireStack(t, ['tar', 'gzip'])) return
  const [node, base] = [temporaryFolder(t), temporaryFolder(t)]
  mkdirSync(join(node, 'bin'))
  writeFileSync(join(node, 'bin/node'), 'stands for Node', { mode: 0o755 })
  writeFileSync(join(node, 'LICENSE'), 'as Node has it')
  mkdirSync(join(base, 'tmp'))
  symlinkSync('tmp', join(base, 'link'))
  const variants = [{ architecture: 'arm64', node, base }] as const
  const options = { root: ROOT, version: '1.2.3', epoch: EPOCH, variants, effort: 'quick' } as const
  const digests: string[] = []
  const before = process.umask()
  t.after(() => process.umask(before))

  for (const mask of [0o022, 0o077]) {
    process.umask(mask)
    digests.push(digestOf(readFileSync(await buildImage({ ...options, out: temporaryFolder(t) }))))
  }

  assert.equal(digests[0], digests[1])
})

test('the image and the Containerfile start the program as the launcher does', () => {
  const { Entrypoint, Env, ExposedPorts, User, WorkingDir } = containerConfig(ROOT)
  const file = readFileSync(join(ROOT, 'deploy/Containerfile'), 'utf8')
  const lines = new Map(
    [...file.matchAll(/^([A-Z]+) (.*)$/gm)].map(([, name, rest]) => [name, rest]),
  )
  const options = Env.map((each) => each.replace(/^NODE_OPTIONS=/, ''))

  assert.deepEqual([...Entrypoint.slice(1, -1), options[0]], FLAGS)
  assert.equal(lines.get('ENTRYPOINT'), JSON.stringify(Entrypoint).replaceAll(',', ', '))
  assert.equal(lines.get('ENV'), Env.join(' '))
  assert.equal(lines.get('EXPOSE'), Object.keys(ExposedPorts).join(' '))
  assert.equal(lines.get('USER'), User)
  assert.equal(lines.get('WORKDIR'), WorkingDir)
  assert.equal(
    Object.keys(ExposedPorts)[0]?.replace('/tcp', ''),
    loadText(own()).config.http.listen.split(':').pop(),
  )
})

test('the bill of materials of the image names the packages of Debian in it', () => {
  const bill = JSON.parse(billOfMaterials(ROOT, '1.2.3', EPOCH, BASE))

  const purls: readonly string[] = bill.components.map(({ purl }: { purl: string }) => purl)
  for (const { name, version } of BASE) {
    const start = `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?`
    assert.ok(
      purls.some((purl) => purl.startsWith(start)),
      start,
    )
  }
})

/** The configuration that is in the image. */
function own(): string {
  return readFileSync(join(ROOT, 'deploy/container.yaml'), 'utf8')
}
