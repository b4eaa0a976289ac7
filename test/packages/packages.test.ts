import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { dirname, join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { billOfMaterials } from '../../scripts/release/bill-of-materials.ts'
import {
  buildDeb,
  buildRpm,
  buildTarball,
  type PackageOptions,
} from '../../scripts/release/packages.ts'
import { runProgram, startProgram } from '../support/program.ts'
import { findProgram, requireStack, temporaryFolder } from '../support/stack.ts'

// Each package is made with the Node that runs here, installed into a folder of its own, and used.

const ROOT = resolve(import.meta.dirname, '../..')
const EPOCH = 1_700_000_000
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'x64'

/** What `nodeFolder` has of a package of npm's registry. */
function thisNode(t: TestContext): string {
  const folder = temporaryFolder(t)
  cpSync(process.execPath, join(folder, 'bin/node'))
  writeFileSync(join(folder, 'LICENSE'), 'as Node has it\n')
  return folder
}

async function built(
  t: TestContext,
  build: (options: PackageOptions) => Promise<string>,
): Promise<string> {
  const node = thisNode(t)
  const files: string[] = []
  const before = process.umask()
  try {
    for (const mask of [0o022, 0o077]) {
      process.umask(mask)
      const out = temporaryFolder(t)
      const product = { root: ROOT, version: '1.2.3', epoch: EPOCH, node }
      files.push(await build({ ...product, architecture: ARCHITECTURE, effort: 'quick', out }))
    }
  } finally {
    process.umask(before)
  }
  const [first = '', second = ''] = files
  assert.equal(digestOf(first), digestOf(second), 'the same input has given other bytes')
  return first
}

function digestOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex')
}

/** Writes a configuration that needs nothing of this machine. @returns the socket of its HTTP API */
function configure(file: string, base: string): string {
  const http = { listen: `unix://${base}/http.sock` }
  const config = { shim: `${base}/shim.sock`, cri: `${base}/none.sock`, image: base, http }
  mkdirSync(dirname(file), { recursive: true })
  // JSON is YAML.
  writeFileSync(file, JSON.stringify(config))
  return `${base}/http.sock`
}

function get(socketPath: string, path: string): Promise<string> {
  return new Promise((settle, reject) => {
    request({ socketPath, path }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (text: string) => {
        body += text
      })
      response.on('end', () => settle(`${response.statusCode} ${body}`))
    })
      .on('error', reject)
      .end()
  })
}

/** Everything below a folder but what the package manager itself keeps there. */
function listing(folder: string, kept: RegExp): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => !kept.test(name))
    .sort()
}

/** Copies programs and the libraries that they are linked with. */
async function plant(folder: string, programs: readonly string[]): Promise<void> {
  for (const program of programs) {
    const linked = await runProgram('ldd', [program])
    const libraries = [...linked.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path)
    for (const path of libraries) {
      const target = join(folder, path)
      if (!existsSync(target)) cpSync(path, target, { dereference: true })
    }
  }
}

test('the tarball serves where there is nothing but the C library and a shell', async (t) => {
  if (!requireStack(t, ['tar', 'gzip', 'chroot', 'ldd'])) return
  const file = await built(t, buildTarball)
  const root = temporaryFolder(t)
  const [shell = '', readlink = ''] = ['sh', 'readlink'].map((name) => findProgram(name))
  await plant(root, [process.execPath, shell, readlink])
  for (const program of [shell, readlink]) {
    cpSync(program, join(root, 'bin', program.replace(/.*\//, '')), { dereference: true })
  }
  await runProgram('tar', ['-xzf', file, '-C', root])
  const home = `/image-resolver-1.2.3-linux-${ARCHITECTURE}`
  configure(join(root, 'etc/image-resolver.yaml'), '/state')
  mkdirSync(join(root, 'state'))
  const program = `${home}/bin/image-resolver`
  const bare = ['-i', 'PATH=/bin', findProgram('chroot') ?? '', root, program]

  const version = await runProgram('env', [...bare, '--version'])
  const service = startProgram('env', bare)
  t.after(() => service.stop())
  await service.line(/HTTP is served/)

  assert.match(version, /^1\.2\.3\b/)
  assert.match(await get(join(root, 'state/http.sock'), '/livez'), /^200 /)
  assert.match(await get(join(root, 'state/http.sock'), '/'), /^200 <!doctype html>/i)
  for (const name of ['LICENSE', 'LICENSE.node', 'LICENSES.bundled', 'docs', 'deploy']) {
    assert.ok(existsSync(join(root, home, name)), name)
  }
  const alerts = 'deploy/helm/image-resolver/files/alerts.yaml'
  assert.ok(readFileSync(join(root, home, alerts), 'utf8').includes('ImageResolverDown'))
  assert.match(readFileSync(join(root, home, 'LICENSES.bundled'), 'utf8'), /^fastify \d/m)
})

test('the .deb is installed, serves, keeps its configuration, and is removed without a trace', async (t) => {
  if (!requireStack(t, ['dpkg', 'dpkg-deb'])) return
  const file = await built(t, buildDeb)
  const root = temporaryFolder(t)
  for (const name of ['updates', 'info']) {
    mkdirSync(join(root, 'var/lib/dpkg', name), { recursive: true })
  }
  for (const name of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', name), '')
  const kept = /^var(?:\/(?:lib|log)(?:$|\/dpkg))?/
  const before = listing(root, kept)
  const dpkg = (...args: string[]) =>
    runProgram('dpkg', [
      `--root=${root}`,
      `--log=${join(root, 'var/lib/dpkg/log')}`,
      '--force-script-chrootless,depends,confold',
      ...args,
    ])
  const config = join(root, 'etc/image-resolver.yaml')

  const said = await dpkg('--install', file)
  const socket = configure(config, temporaryFolder(t))
  const mine = readFileSync(config, 'utf8')
  const service = startProgram(join(root, 'usr/bin/image-resolver'), ['--config', config])
  t.after(() => service.stop())
  await service.line(/HTTP is served/)

  assert.match(said, /systemctl enable --now image-resolver$/m)
  assert.match(await get(socket, '/livez'), /^200 /)
  const unit = readFileSync(join(root, 'usr/lib/systemd/system/image-resolver.service'), 'utf8')
  assert.match(unit, /^ExecStart=\/usr\/bin\/image-resolver --config \/etc\/image-resolver\.yaml$/m)
  for (const name of ['man/man1/image-resolver.1.gz', 'zsh/vendor-completions/_image-resolver']) {
    assert.ok(existsSync(join(root, 'usr/share', name)), name)
  }
  assert.equal(lstatSync(join(root, 'usr/lib/image-resolver/node')).mode & 0o7777, 0o755)

  await service.stop()
  await dpkg('--install', file)
  assert.equal(readFileSync(config, 'utf8'), mine)
  await dpkg('--remove', 'image-resolver')
  assert.equal(readFileSync(config, 'utf8'), mine)
  await dpkg('--purge', 'image-resolver')
  assert.deepEqual(listing(root, kept), before)
})

test('a .deb is removed when kubelet is led back, and not where it is led by hand', async (t) => {
  if (!requireStack(t, ['dpkg', 'dpkg-deb'])) return
  const file = await built(t, buildDeb)
  const root = temporaryFolder(t)
  for (const name of ['var/lib/dpkg/updates', 'var/lib/dpkg/info', 'etc/systemd/system']) {
    mkdirSync(join(root, name), { recursive: true })
  }
  for (const name of ['status', 'available']) writeFileSync(join(root, 'var/lib/dpkg', name), '')
  const unit = join(root, 'etc/systemd/system/kubelet.service')
  const runtime = 'unix:///run/containerd/containerd.sock'
  const kubelet = `[Service]\nExecStart=/usr/bin/kubelet --image-service-endpoint=${runtime}\n`
  writeFileSync(unit, kubelet)
  const dpkg = (...args: string[]) =>
    runProgram('dpkg', [
      `--root=${root}`,
      `--log=${join(root, 'var/lib/dpkg/log')}`,
      '--force-script-chrootless,depends',
      ...args,
    ])
  const program = join(root, 'usr/bin/image-resolver')

  await dpkg('--install', file)
  writeFileSync(unit, kubelet.replace(runtime, 'unix:///run/image-cri-shim.sock'))
  await assert.rejects(dpkg('--remove', 'image-resolver'), /kubelet leads to .*by hand/s)
  assert.ok(existsSync(program))
  writeFileSync(unit, kubelet)
  await runProgram(program, ['install', '--root', root])
  const led = readFileSync(unit, 'utf8')
  await dpkg('--remove', 'image-resolver')

  assert.match(led, /image-cri-shim\.sock/)
  assert.equal(readFileSync(unit, 'utf8'), kubelet)
  assert.ok(!existsSync(program))
})

/** What rpmlint finds of the .rpm and is meant so: patterns of its lines, each with the reason. */
const RPMLINT = `Filters = [
  # Node.js is as nodejs.org has built it.
  "(unstripped-binary-or-object|position-independent-executable-suggested|binary-or-shlib-calls-gethostbyname) .*/node$",
  # Signing is for the repository that has it; no distribution wants a group or has this list of licences any more.
  "no-signature|no-group-tag|invalid-license Apache-2.0",
  # CHANGELOG.md is in the folder of its documents; there is no page of the project to name.
  "no-changelogname-tag|no-url-tag",
  # rpmlint looks for the ending of another distribution.
  "manpage-not-compressed bz2|no-manual-page-for-binary image-resolver",
  # Maps of small parts.
  "files-duplicate .*[.]js[.]map",
]
`

for (const [kind, build, linter, optionsIn] of [
  [
    '.deb',
    buildDeb,
    'lintian',
    () => ['--allow-root', '--fail-on', 'error,warning', '--tag-display-limit', '0'],
  ],
  [
    '.rpm',
    buildRpm,
    'rpmlint',
    (folder: string) => {
      writeFileSync(join(folder, 'rpmlint.toml'), RPMLINT)
      return ['--strict', '--config', join(folder, 'rpmlint.toml')]
    },
  ],
] as const) {
  test(`${linter} finds nothing to say of the ${kind}`, async (t) => {
    if (!requireStack(t, [linter, kind === '.deb' ? 'dpkg-deb' : 'rpmbuild'])) return
    const [out, node] = [temporaryFolder(t), thisNode(t)]
    const product = { root: ROOT, version: '1.2.3', epoch: EPOCH, node, out }
    const file = await build({ ...product, architecture: ARCHITECTURE, effort: 'quick' })

    // What it says is in the error when it fails.
    await runProgram(linter, [...optionsIn(out), file])
  })
}

test('the .rpm is installed, serves, and is removed without a trace', async (t) => {
  if (!requireStack(t, ['rpm', 'rpmbuild'])) return
  const file = await built(t, buildRpm)
  const root = temporaryFolder(t)
  const rpm = (...args: string[]) => runProgram('rpm', ['--root', root, ...args])
  // The folders of rpm's own.
  const kept = /^(?:var|usr$|usr\/lib$|usr\/lib\/sysimage|root|tmp|\.rpmdb)/
  await rpm('--initdb')
  const before = listing(root, kept)

  // Its scripts want a shell in there.
  await rpm('--install', '--nodeps', '--noscripts', file)
  const config = join(root, 'etc/image-resolver.yaml')
  const socket = configure(config, temporaryFolder(t))
  const service = startProgram(join(root, 'usr/bin/image-resolver'), ['--config', config])
  t.after(() => service.stop())
  await service.line(/HTTP is served/)

  assert.match(await get(socket, '/livez'), /^200 /)
  const scripts = await rpm('-q', '--scripts', 'image-resolver')
  assert.match(scripts, /enable --now image-resolver/)
  assert.match(scripts, /= 0 \]; then\n"[^"]*\/usr\/bin\/image-resolver" uninstall .*\|\| exit\n/)
  assert.equal(
    (await rpm('-q', '--configfiles', 'image-resolver')).trim(),
    '/etc/image-resolver.yaml',
  )
  await service.stop()
  await rpm('--erase', '--nodeps', '--noscripts', 'image-resolver')
  // Of folders that others have files in too, none is its own.
  const left = listing(root, kept).filter(
    (name) => !before.includes(name) && !lstatSync(join(root, name)).isDirectory(),
  )
  assert.deepEqual(left, ['etc/image-resolver.yaml.rpmsave'])
})

test('the bill of materials names Node and what is in the bundle, and no more', () => {
  const bill = JSON.parse(billOfMaterials(ROOT, '1.2.3', EPOCH))

  const names: readonly string[] = bill.components.map(({ name }: { name: string }) => name)
  for (const name of ['node', 'fastify', '@grpc/grpc-js', 'protobufjs', 'pino'])
    assert.ok(names.includes(name), name)
  for (const name of ['typescript', 'ajv', 'tsx']) assert.ok(!names.includes(name), name)
  assert.equal(bill.specVersion, '1.6')
  assert.match(
    bill.serialNumber,
    /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/,
  )
  assert.equal(billOfMaterials(ROOT, '1.2.3', EPOCH), billOfMaterials(ROOT, '1.2.3', EPOCH))
})
