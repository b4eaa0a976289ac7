import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { BOOTED, examineNode, GOOD_NODES, plantNode } from '../../support/planted-node.ts'
import { runProgram } from '../../support/program.ts'
import { requireStack } from '../../support/stack.ts'

const OFFLINE = 'registries: not asked, since --offline or --root was given'
const V2 = GOOD_NODES['kubeadm with containerd 1.7']
const CRIO = GOOD_NODES['CRI-O']
const OWN = '/etc/image-resolver.yaml'
const TOML = '/etc/containerd/config.toml'

/** What hangs would otherwise hang for ever. */
const LIMIT = { timeout: 60_000 }

/** Puts something else in the place of a file. */
async function replace(root: string, path: string, put: (at: string) => unknown): Promise<void> {
  const at = join(root, path)
  mkdirSync(dirname(at), { recursive: true })
  rmSync(at, { recursive: true, force: true })
  await put(at)
}

const pipe = (at: string) => runProgram('mkfifo', [at])
const loop = (at: string) => symlinkSync(at.slice(at.lastIndexOf('/') + 1), at)
const huge = (at: string): void => {
  writeFileSync(at, 'x')
  truncateSync(at, 8 * 1024 ** 3)
}

test('without root nothing is found of what may not be read, and each of it is told', async (t) => {
  // It takes root to become another user.
  if (!requireStack(t, [])) return
  const root = await plantNode(t, BOOTED, V2)
  chmodSync(root, 0o755)
  chmodSync(join(root, 'etc/containerd/certs.d'), 0o700)
  // Modules are loaded while they may be read.
  await examineNode(root)
  const asNobody = async () => {
    process.seteuid?.(65_534)
    try {
      return await examineNode(root)
    } finally {
      process.seteuid?.(0)
    }
  }

  const { findings, skipped } = await asNobody()

  assert.deepEqual(findings, [])
  const denied = skipped.filter((line) => line.endsWith(': permission denied; run as root'))
  for (const path of [OWN, TOML, '/usr/lib/systemd/system/kubelet.service']) {
    assert.ok(denied.includes(`${path}: permission denied; run as root`), `${path} of ${skipped}`)
  }
  assert.deepEqual(new Set(skipped).size, skipped.length)
  assert.deepEqual(
    skipped.filter((line) => !denied.includes(line)),
    [OFFLINE],
  )
})

test('of a service whose file can be read, what it names and this user may not read is no finding', async (t) => {
  // It takes root to become another user.
  if (!requireStack(t, [])) return
  const root = await plantNode(t, BOOTED, V2, {
    files: {
      [OWN]: `${V2.files[OWN]}  ca: /etc/secret/ca.pem\nhostsDir: /etc/containerd/certs.d\n`,
      '/etc/secret/ca.pem': '',
    },
  })
  for (const path of ['', OWN]) chmodSync(join(root, path), 0o755)
  chmodSync(join(root, 'etc/secret'), 0o700)
  await examineNode(root)
  process.seteuid?.(65_534)
  const { findings, skipped } = await examineNode(root).finally(() => process.seteuid?.(0))

  assert.deepEqual(
    findings.filter(({ file }) => file !== OWN),
    [],
  )
  assert.ok(skipped.includes('/etc/secret/ca.pem: permission denied; run as root'), `${skipped}`)
})

test('links that lead in a circle are told, and everything else is looked at', LIMIT, async (t) => {
  const root = await plantNode(t, BOOTED, CRIO)
  const loops = [
    '/etc/crio/crio.conf.d',
    '/etc/containers/registries.conf.d',
    '/etc/systemd/system/kubelet.service.d',
    '/etc/systemd/system/multi-user.target.wants',
  ]
  for (const path of loops) await replace(root, path, loop)

  const { checked, skipped } = await examineNode(root)

  assert.ok(checked.includes('state-folder') && checked.includes('sockets'), `${checked}`)
  for (const path of loops) {
    assert.ok(
      skipped.some((line) => line.startsWith(path) && line.endsWith(': too many links')),
      `${path} of ${skipped.join('\n')}`,
    )
  }
})

test('a configuration file that is a link to itself is a finding', LIMIT, async (t) => {
  const root = await plantNode(t, BOOTED, V2)
  await replace(root, OWN, loop)

  const { findings } = await examineNode(root, { file: OWN })

  assert.deepEqual(
    findings.map(({ check, file }) => [check, file]),
    [['configuration', OWN]],
  )
})

const READ = [
  '/proc/2/cmdline',
  OWN,
  TOML,
  '/var/lib/kubelet/config.yaml',
  '/var/lib/kubelet/kubeadm-flags.env',
  '/etc/containerd/certs.d/harbor.corp.example/hosts.toml',
  '/etc/image-cri-shim.yaml',
  '/etc/systemd/system/containerd.service.d/http-proxy.conf',
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/secret',
]

for (const [what, put, why] of [
  ['a pipe', pipe, /^(?:not a regular file|is no file)$/],
  ['8 GiB', huge, /^(?:is )?larger than 1 MiB$/],
] as const) {
  test(
    `${what} in the place of a file that is read keeps nothing waiting, and is told`,
    LIMIT,
    async (t) => {
      const node = GOOD_NODES['with proxies']
      for (const path of READ) {
        const root = await plantNode(t, BOOTED, node, {
          files: { [OWN]: node.files[OWN].replace('upstreams', 'ca: /etc/secret\n  upstreams') },
        })
        await replace(root, path, put)

        const { findings, skipped } = await examineNode(root)

        const told = skipped.find((line) => line.startsWith(`${path}: `))?.slice(path.length + 2)
        // Of a process the beginning of its command is enough.
        if (path.startsWith('/proc') && what !== 'a pipe') assert.equal(told, undefined)
        else assert.match(told ?? skipped.join('\n'), why)
        const isOwn = ({ check, file }: (typeof findings)[number]) =>
          check === 'configuration' && file === path
        assert.equal(findings.some(isOwn), path === OWN)
      }
    },
  )
}

test(
  'files of another machine that are nested without end cost no memory, and are told',
  LIMIT,
  async (t) => {
    const deep = (text: string) => text.repeat(60_000)
    const names = `[a.${deep('a.')}a]\nb = 1\n`
    const lists = `a = ${deep('[')}\n`
    const flow = `a: ${deep('[')}\n`
    const root = await plantNode(t, BOOTED, V2, {
      files: {
        [TOML]: 'version = 2\nimports = ["/etc/containerd/*.toml"]\n',
        '/etc/containerd/lists.toml': lists,
        '/etc/containerd/names.toml': names,
        '/etc/containerd/certs.d/a.io/hosts.toml': names,
        '/etc/containerd/certs.d/b.io/hosts.toml': lists,
        '/etc/image-cri-shim.yaml': flow,
      },
    })

    const { findings } = await examineNode(root)

    const broken = findings.filter(({ problem }) => /TOML/.test(problem)).map(({ file }) => file)
    assert.deepEqual(broken, [
      '/etc/containerd/lists.toml',
      '/etc/containerd/names.toml',
      '/etc/containerd/certs.d/a.io/hosts.toml',
      '/etc/containerd/certs.d/b.io/hosts.toml',
    ])
  },
)

test('no more than 32 MiB are read in all', LIMIT, async (t) => {
  const text = `# ${'x'.repeat(1_000_000)}\n[Service]\n`
  const names = Array.from(
    { length: 40 },
    (_, index) => `/etc/systemd/system/kubelet.service.d/${index}.conf`,
  )
  const root = await plantNode(t, BOOTED, V2, {
    files: Object.fromEntries(names.map((name) => [name, text])),
  })

  const { skipped } = await examineNode(root)

  assert.match(skipped.join('\n'), /\.conf: 32 MiB of other files were read already$/m)
})
