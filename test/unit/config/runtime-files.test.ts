import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimeWarnings } from '../../../src/config/runtime-files.ts'
import type { HostsFiles } from '../../../src/config/sources/hosts-dir.ts'
import { parseAddress } from '../../../src/registry/endpoint.ts'
import { entry } from '../../support/resolver.ts'

const CONTAINERD = '/run/containerd/containerd.sock'
const VERSION_2 = '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/certs"\n'
const HTTP_HOST = '[host."http://hub.corp:5000"]\n'

/** A machine with these files, and their folders. */
function machine(texts: Readonly<Record<string, string>>): HostsFiles {
  const paths = Object.keys(texts)
  return {
    list: async (folder) => {
      const inside = paths.filter((path) => path.startsWith(`${folder}/`))
      if (inside.length === 0) return undefined
      return [...new Set(inside.map((path) => path.slice(folder.length + 1).split('/')[0] ?? ''))]
    },
    read: async (path) => texts[path],
  }
}

function warn(
  texts: Readonly<Record<string, string>>,
  cri: string | undefined = CONTAINERD,
  addresses: readonly string[] = ['http://hub.corp:5000'],
): Promise<readonly string[]> {
  const registries = addresses.map((address) => entry(address, { endpoint: parseAddress(address) }))
  return runtimeWarnings({ cri, registries }, machine(texts))
}

test('containerd is told of a registry of plain http by a hosts.toml in its config_path', async () => {
  const config = { '/etc/containerd/config.toml': VERSION_2 }

  assert.deepEqual(await warn(config), [
    'containerd would ask hub.corp:5000 over https: /certs/hub.corp_5000_/hosts.toml with [host."http://hub.corp:5000"] tells it otherwise; `image-resolver containerd-hosts --direct --write /certs` writes it',
  ])
  for (const name of ['hub.corp:5000', 'hub.corp_5000_']) {
    assert.deepEqual(await warn({ ...config, [`/certs/${name}/hosts.toml`]: HTTP_HOST }), [])
  }
  const others = {
    '/certs/hub.corp:5000/hosts.toml': '[host."https://hub.corp:5000"]\nskip_verify = true\n',
    '/certs/hub.corp/hosts.toml': HTTP_HOST,
    '/certs/_default/hosts.toml': HTTP_HOST,
  }
  assert.equal((await warn({ ...config, ...others })).length, 1)
})

const HOSTS_FILE = { '/etc/containerd/certs.d/hub.corp:5000/hosts.toml': HTTP_HOST }

test('without config_path containerd reads no hosts.toml, whatever is in it', async () => {
  const config = { '/etc/containerd/config.toml': 'version = 2\n' }
  const [path, host, ...rest] = await warn({ ...config, ...HOSTS_FILE })

  assert.match(path ?? '', /has no config_path.*containerd#12808.*set config_path = "\/etc/)
  assert.match(host ?? '', /\/etc\/containerd\/certs\.d\/hub\.corp_5000_\/hosts\.toml/)
  assert.deepEqual(rest, [])
})

test('with a config_path of two folders, the default of 2.2, containerd 2.2 and later read no hosts.toml', async () => {
  const config =
    "version = 3\n[plugins.'io.containerd.cri.v1.images'.registry]\nconfig_path = '/etc/containerd/certs.d:/etc/docker/certs.d'\n"
  const [path, host, ...rest] = await warn({ '/etc/containerd/config.toml': config })
  const told = await warn({ '/etc/containerd/config.toml': config, ...HOSTS_FILE })

  assert.match(path ?? '', /has the config_path .*:.*: with a colon in it containerd 2\.2 .*#12808/)
  assert.match(host ?? '', /\/etc\/containerd\/certs\.d\/hub\.corp_5000_\/hosts\.toml/)
  assert.deepEqual(rest, [])
  // Older ones read both folders.
  assert.deepEqual(told, [path])
})

test('what config.toml imports counts, and mirrors of the older form', async () => {
  const imported = {
    '/etc/containerd/config.toml': 'imports = ["conf.d/*.toml"]\n',
    '/etc/containerd/conf.d/10-certs.toml': VERSION_2,
    '/certs/hub.corp:5000/hosts.toml': HTTP_HOST,
  }
  const mirrors =
    '[plugins."io.containerd.grpc.v1.cri".registry.mirrors."hub.corp:5000"]\nendpoint = ["http://hub.corp:5000"]\n'

  assert.deepEqual(await warn(imported), [])
  assert.deepEqual(await warn({ '/etc/containerd/config.toml': mirrors }), [])
})

test('https, loopback, and registries that nothing is pulled from need no file', async () => {
  const addresses = ['https://a.corp', 'http://127.0.0.1:5000', 'localhost:5000']
  const config = { '/etc/containerd/config.toml': VERSION_2 }
  const endpoint = parseAddress('http://hub.corp:5000')
  const registries = [
    entry('a', { endpoint, capabilities: ['resolve'] }),
    entry('b', { endpoint, source: 'hostsDir' }),
  ]

  assert.deepEqual(await warn(config, CONTAINERD, addresses), [])
  assert.deepEqual(await runtimeWarnings({ cri: CONTAINERD, registries }, machine(config)), [])
})

test('nothing is said of a runtime whose files are not to be seen, or may be anywhere', async () => {
  const config = { '/etc/containerd/config.toml': VERSION_2 }

  assert.deepEqual(await warn({}), [])
  assert.deepEqual(await warn(config, '/tmp/other/containerd.sock'), [])
  const registries = [entry('hub', { endpoint: parseAddress('http://hub.corp:5000') })]
  assert.deepEqual(await runtimeWarnings({ cri: undefined, registries }, machine(config)), [])
})

test('a file that is not TOML, and what is no hosts.toml, are one warning', async () => {
  const broken = { '/etc/containerd/config.toml': 'version =\n' }
  const bad = {
    '/etc/containerd/config.toml': VERSION_2,
    '/certs/hub.corp:5000/hosts.toml': 'host = 1\n',
  }

  assert.deepEqual(await warn(broken), [
    'whether the runtime accepts registries of plain http cannot be seen: /etc/containerd/config.toml is not TOML',
  ])
  assert.match((await warn(bad))[0] ?? '', /cannot be seen: host: expected tables/)
})

test("k3s and rke2 are told in registries.yaml, which they make containerd's files of", async () => {
  const cri = '/run/k3s/containerd/containerd.sock'
  const certs = '/var/lib/rancher/rke2/agent/etc/containerd/certs.d'

  assert.match((await warn({}, cri))[0] ?? '', /\/etc\/rancher\/k3s\/registries\.yaml/)
  assert.match(
    (await warn({ [`${certs}/docker.io/hosts.toml`]: '' }, cri))[0] ?? '',
    /\/etc\/rancher\/rke2\/registries\.yaml `"hub\.corp:5000": \{endpoint/,
  )
  assert.deepEqual(await warn({ [`${certs}/hub.corp:5000/hosts.toml`]: HTTP_HOST }, cri), [])
})

const REGISTRIES_CONF: readonly [text: string, isTold: boolean][] = [
  ['[[registry]]\nlocation = "hub.corp:5000"\ninsecure = true\n', true],
  ['[[registry]]\nprefix = "*.corp:5000"\ninsecure = true\n', true],
  ['[[registry]]\nprefix = "other.corp"\nlocation = "hub.corp:5000"\ninsecure = true\n', true],
  ['[registries.insecure]\nregistries = ["hub.corp:5000"]\n', true],
  ['[[registry]]\nlocation = "hub.corp:5000"\n', false],
  ['[[registry]]\nlocation = "hub.corp"\ninsecure = true\n', false],
]

for (const [text, isTold] of REGISTRIES_CONF) {
  test(`CRI-O is ${isTold ? '' : 'not '}told by ${JSON.stringify(text)}`, async () => {
    const cri = '/var/run/crio/crio.sock'
    for (const file of ['registries.conf', 'registries.conf.d/1.conf']) {
      const warnings = await warn({ [`/etc/containers/${file}`]: text }, cri)

      assert.equal(warnings.length, isTold ? 0 : 1)
      if (!isTold) {
        assert.match(
          warnings[0] ?? '',
          /registries\.conf\.d\/50-hub\.corp-5000\.conf .*insecure = true/,
        )
      }
    }
  })
}

test('dockerd is told by insecure-registries', async () => {
  const cri = '/run/cri-dockerd.sock'
  const daemon = (list: readonly string[]): Readonly<Record<string, string>> => ({
    '/etc/docker/daemon.json': JSON.stringify({ 'insecure-registries': list }),
  })

  assert.match(
    (await warn(daemon([]), cri))[0] ?? '',
    /"hub\.corp:5000" among "insecure-registries"/,
  )
  assert.deepEqual(await warn(daemon(['hub.corp:5000']), cri), [])
  assert.deepEqual(await warn(daemon(['10.0.0.0/8']), cri), [])
})
