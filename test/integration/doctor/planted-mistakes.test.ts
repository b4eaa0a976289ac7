import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createCertificate } from '../../support/certificate.ts'
import {
  BOOTED,
  examineNode,
  GOOD_NODES,
  kubeadm,
  type NodeTree,
  plantNode,
  resolverYaml,
} from '../../support/planted-node.ts'

const CONTAINERD = '/run/containerd/containerd.sock'
const SHIM = '/var/run/image-cri-shim.sock'
const TOML = '/etc/containerd/config.toml'
const OWN = '/etc/image-resolver.yaml'
const HARBOR = '/etc/containerd/certs.d/harbor.corp.example/hosts.toml'
const V2 = GOOD_NODES['kubeadm with containerd 1.7']
const V3 = GOOD_NODES['kubeadm with containerd 2']
const CRIO = GOOD_NODES['CRI-O']

interface Mistake {
  readonly name: string
  readonly node: NodeTree
  /** In the place of what that node has. */
  readonly files?: Readonly<Record<string, string>>
  readonly served?: readonly string[]
  readonly stale?: readonly string[]
  readonly check: string
  readonly file?: string
  readonly line?: number
  readonly says: RegExp
  readonly severity?: 'warning'
  readonly mend: RegExp
}

const { [TOML]: V2_TOML } = V2.files
const { [TOML]: V3_TOML } = V3.files

const MISTAKES: readonly Mistake[] = [
  {
    name: 'a field of the configuration is misspelt',
    node: V2,
    files: { [OWN]: `shim: ${SHIM}\ncri: ${CONTAINERD}\nadress: http://hub\n` },
    check: 'configuration',
    file: OWN,
    line: 3,
    says: /adress: unknown field; did you mean address/,
    mend: /config check/,
  },
  {
    name: 'the configuration names a file that is not there',
    node: V2,
    files: resolverYaml(CONTAINERD, '  ca: /etc/ssl/corp.pem\n  insecureSkipVerify: false\n'),
    check: 'named-files',
    file: '/etc/ssl/corp.pem',
    says: /ca of harbor.corp.example: .* is not there/,
    mend: /put it there/,
  },
  {
    name: 'version: v1alpha2 in front of containerd 2',
    node: V3,
    files: resolverYaml(CONTAINERD, 'version: v1alpha2\n'),
    check: 'cri-version',
    file: OWN,
    says: /v1 alone/,
    mend: /take `version` out/,
  },
  {
    name: "kubelet stays on the runtime's own socket",
    node: V2,
    files: kubeadm(`--container-runtime-endpoint=unix://${CONTAINERD}`),
    check: 'kubelet-endpoints',
    file: '/var/lib/kubelet/kubeadm-flags.env',
    line: 1,
    says: /the runtime's own socket, and not at \/var\/run\/image-cri-shim.sock/,
    mend: /--image-service-endpoint/,
  },
  {
    name: 'kubelet runs containers in another runtime than images are pulled into',
    node: V2,
    files: kubeadm(
      `--container-runtime-endpoint=unix:///run/crio/crio.sock --image-service-endpoint=unix://${SHIM}`,
    ),
    served: ['/run/crio/crio.sock'],
    check: 'kubelet-endpoints',
    file: OWN,
    line: 2,
    says: /runs containers at \/run\/crio\/crio.sock, and this service pulls into \/run\/containerd/,
    mend: /set cri: \/run\/crio\/crio.sock/,
  },
  {
    name: 'the unit of kubelet starts a wrapper, which may set an endpoint of its own',
    node: V2,
    files: {
      '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf': `[Service]\nExecStart=\nExecStart=/opt/bin/kubelet-wrapper --container-runtime-endpoint=unix://${CONTAINERD} --image-service-endpoint=unix://${SHIM}\n`,
    },
    check: 'kubelet-endpoints',
    file: '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf',
    line: 3,
    severity: 'warning',
    says: /the unit of kubelet starts \/opt\/bin\/kubelet-wrapper/,
    mend: /look for --image-service-endpoint .* in it/,
  },
  {
    name: 'a flag of kubelet hides a field of its file',
    node: V2,
    files: kubeadm(
      `--container-runtime-endpoint=unix://${CONTAINERD} --image-service-endpoint=unix://${SHIM}`,
      'imageServiceEndpoint: unix:///run/other.sock\n',
    ),
    check: 'kubelet-hidden-field',
    file: '/var/lib/kubelet/config.yaml',
    line: 9,
    severity: 'warning',
    says: /imageServiceEndpoint is \/run\/other.sock, and a flag/,
    mend: /take one of them out/,
  },
  {
    name: 'the image endpoint of kubelet leads to a socket that is not served',
    node: { ...V2, served: [CONTAINERD] },
    check: 'sockets',
    file: '/var/lib/kubelet/kubeadm-flags.env',
    line: 1,
    says: /no such socket/,
    mend: /systemctl start image-resolver/,
  },
  {
    name: "a dead service has left its socket's file",
    node: { ...V2, served: [CONTAINERD] },
    stale: [SHIM],
    check: 'sockets',
    file: SHIM,
    says: /nothing listens/,
    mend: /systemctl start image-resolver/,
  },
  {
    name: "the runtime's socket is stale",
    node: { ...V2, served: [SHIM] },
    stale: [CONTAINERD],
    check: 'sockets',
    file: CONTAINERD,
    says: /nothing listens/,
    mend: /start the runtime/,
  },
  {
    name: 'image-cri-shim still runs',
    node: V2,
    files: { '/proc/4242/cmdline': '/usr/bin/image-cri-shim\0-f\0/etc/image-cri-shim.yaml\0' },
    check: 'other-shim',
    says: /process 4242/,
    mend: /systemctl disable --now image-cri-shim/,
  },
  {
    name: 'image-cri-shim comes back at the next boot',
    node: V2,
    files: {
      '/etc/systemd/system/multi-user.target.wants/image-cri-shim.service': '[Service]\n',
    },
    check: 'other-shim',
    severity: 'warning',
    says: /is enabled/,
    mend: /systemctl disable image-cri-shim/,
  },
  {
    name: 'two shims are each the runtime of the other',
    node: V2,
    files: {
      ...kubeadm(
        '--container-runtime-endpoint=unix:///run/image-cri-shim.sock --image-service-endpoint=unix:///run/ir.sock',
      ),
      [OWN]: 'shim: /run/ir.sock\ncri: /var/run/image-cri-shim.sock\n',
      '/etc/image-cri-shim.yaml': `shim: ${SHIM}\ncri: /run/ir.sock\naddress: http://sealos.hub:5000\n`,
    },
    served: ['/run/ir.sock'],
    check: 'shim-loop',
    file: OWN,
    line: 2,
    says: /that one's cri: .* is ours/,
    mend: /socket of the runtime itself/,
  },
  {
    name: "containerd's configuration is no TOML",
    node: V2,
    files: { [TOML]: 'version = 2\n[plugins\n' },
    check: 'containerd-files',
    file: TOML,
    line: 2,
    says: /no TOML/,
    mend: /config dump/,
  },
  {
    name: "containerd's configuration imports a file that is not there",
    node: V3,
    files: { [TOML]: `imports = ["gpu.toml"]\n${V3_TOML}` },
    check: 'containerd-files',
    file: TOML,
    line: 1,
    says: /imports \/etc\/containerd\/gpu.toml, which is not there/,
    mend: /out of `imports`/,
  },
  {
    name: "Docker's package has turned CRI off",
    node: V2,
    files: { [TOML]: `disabled_plugins = ["cri"]\n${V2_TOML}` },
    check: 'containerd-cri-disabled',
    file: TOML,
    line: 1,
    says: /is disabled/,
    mend: /out of disabled_plugins/,
  },
  {
    name: 'a table of version 2 stands in a file of version 3',
    node: V3,
    files: {
      [TOML]: `${V3_TOML}\n[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"\n`,
    },
    check: 'containerd-version',
    file: TOML,
    line: 18,
    says: /io\.containerd\.grpc\.v1\.cri" in a file of version 3/,
    mend: /io\.containerd\.cri\.v1\.images/,
  },
  {
    name: 'a file without version has tables of version 2',
    node: V2,
    files: { [TOML]: V2_TOML.replace('version = 2\n', '') },
    check: 'containerd-version',
    file: TOML,
    line: 9,
    says: /in a file of version 1/,
    mend: /version = 2 as the first line/,
  },
  {
    name: 'config_path has a colon',
    node: V3,
    files: {
      [TOML]: V3_TOML.replace(
        "'/etc/containerd/certs.d'",
        "'/etc/containerd/certs.d:/etc/docker/certs.d'",
      ),
    },
    check: 'containerd-config-path',
    file: TOML,
    line: 11,
    says: /has a colon/,
    mend: /config_path = "\/etc\/containerd\/certs.d"/,
  },
  {
    name: 'there are hosts.toml files and no config_path',
    node: V2,
    files: { [TOML]: V2_TOML.replace(/.*config_path.*\n/, '') },
    check: 'containerd-config-path',
    file: TOML,
    says: /no config_path, and \/etc\/containerd\/certs.d has 1 hosts.toml/,
    mend: /config_path = "\/etc\/containerd\/certs.d"/,
  },
  {
    name: 'registry.mirrors stands beside config_path',
    node: V2,
    files: {
      [TOML]: `${V2_TOML}\n[plugins."io.containerd.grpc.v1.cri".registry.mirrors."docker.io"]\nendpoint = ["https://harbor.corp.example"]\n`,
    },
    check: 'containerd-mirrors',
    file: TOML,
    line: 21,
    says: /registry.mirrors beside config_path \(\/etc\/containerd\/config.toml:19\)/,
    mend: /hosts.toml/,
  },
  {
    name: 'an import of containerd 1 replaces the table of a plugin',
    node: V2,
    files: {
      [TOML]: `imports = ["/etc/containerd/conf.d/*.toml"]\n${V2_TOML}`,
      '/etc/containerd/conf.d/mirror.toml':
        '[plugins."io.containerd.grpc.v1.cri".registry]\nconfig_path = "/etc/containerd/certs.d"\n',
    },
    check: 'containerd-imports',
    file: '/etc/containerd/conf.d/mirror.toml',
    line: 1,
    severity: 'warning',
    says: /which \/etc\/containerd\/config.toml writes, too/,
    mend: /the whole table/,
  },
  {
    name: 'kubelet and containerd disagree on cgroups',
    node: V2,
    files: { [TOML]: V2_TOML.replace('SystemdCgroup = true', 'SystemdCgroup = false') },
    check: 'containerd-cgroups',
    file: TOML,
    line: 17,
    says: /SystemdCgroup = false, and kubelet has cgroupDriver: systemd/,
    mend: /SystemdCgroup = true/,
  },
  {
    name: 'a capability in hosts.toml is misspelt',
    node: V2,
    files: {
      [HARBOR]: '[host."https://harbor.corp.example"]\ncapabilities = ["pul", "resolve"]\n',
    },
    check: 'hosts-toml',
    file: HARBOR,
    line: 2,
    says: /"pul" is not pull, resolve or push/,
    mend: /correct it/,
  },
  {
    name: 'hosts.toml names an authority that is not there',
    node: V2,
    files: { [HARBOR]: '[host."https://harbor.corp.example"]\n\nca = "corp.crt"\n' },
    check: 'hosts-toml',
    file: HARBOR,
    line: 3,
    says: /certs.d\/harbor.corp.example\/corp.crt, which is not there/,
    mend: /put the certificate there/,
  },
  {
    name: 'hosts.toml leads to /v2/ of this service, which is not served',
    node: V2,
    files: {
      '/etc/containerd/certs.d/docker.io/hosts.toml':
        '# Written by `image-resolver containerd-hosts`, which may replace it. Take this line out to keep changes.\n[host."http://127.0.0.1:9430"]\n',
    },
    check: 'hosts-toml',
    file: '/etc/containerd/certs.d/docker.io/hosts.toml',
    line: 1,
    says: /`mirror.enabled` is not true/,
    mend: /mirror: \{enabled: true\}/,
  },
  {
    name: 'containerd does not know the authority of a registry',
    node: V2,
    files: {
      ...resolverYaml(CONTAINERD, '  ca: /etc/ssl/corp.pem\n'),
      '/etc/ssl/corp.pem': createCertificate().cert,
    },
    check: 'runtime-authority',
    file: '/etc/containerd/certs.d/harbor.corp.example/hosts.toml',
    says: /does not know the authority of harbor.corp.example/,
    mend: /containerd-hosts --direct --write \/etc\/containerd\/certs.d/,
  },
  {
    name: 'a registry of plain http without a hosts.toml',
    node: V2,
    files: resolverYaml(
      CONTAINERD,
      '- address: http://hub.corp.example:5000\n  upstreams: [quay.io]\n',
    ),
    check: 'plain-http',
    file: '/etc/containerd/certs.d/hub.corp.example_5000_/hosts.toml',
    says: /would ask hub.corp.example:5000 over https/,
    mend: /containerd-hosts --direct/,
  },
  {
    name: 'a registry of plain http that CRI-O may not ask so',
    node: CRIO,
    files: resolverYaml(
      '/run/crio/crio.sock',
      '- address: http://hub.corp.example:5000\n  upstreams: [quay.io]\n',
    ),
    check: 'plain-http',
    file: '/etc/containers/registries.conf.d/50-hub.corp.example-5000.conf',
    says: /CRI-O would ask hub.corp.example:5000 over https/,
    mend: /insecure = true/,
  },
  {
    name: 'versions 1 and 2 of registries.conf in one file',
    node: CRIO,
    files: {
      '/etc/containers/registries.conf':
        '[[registry]]\nlocation = "docker.io"\n\n[registries.insecure]\nregistries = ["hub:5000"]\n',
    },
    check: 'crio-registries',
    file: '/etc/containers/registries.conf',
    line: 4,
    says: /version 1 and \[\[registry\]\] of version 2/,
    mend: /systemctl reload crio/,
  },
  {
    name: 'a location in registries.conf has a scheme',
    node: CRIO,
    files: {
      '/etc/containers/registries.conf.d/50-mirror.conf':
        '[[registry]]\nlocation = "docker.io"\n\n[[registry.mirror]]\nlocation = "http://hub.corp.example:5000"\n',
    },
    check: 'crio-registries',
    file: '/etc/containers/registries.conf.d/50-mirror.conf',
    line: 5,
    says: /"http:\/\/hub.corp.example:5000", with a scheme/,
    mend: /location = "hub.corp.example:5000" and insecure = true/,
  },
  {
    name: 'a configured registry is blocked in registries.conf',
    node: CRIO,
    files: {
      '/etc/containers/registries.conf.d/60-block.conf':
        '[[registry]]\nlocation = "quay.io"\n\n[[registry]]\nlocation = "harbor.corp.example"\nblocked = true\n',
    },
    check: 'crio-registries',
    file: '/etc/containers/registries.conf.d/60-block.conf',
    line: 6,
    says: /harbor.corp.example is blocked/,
    mend: /take blocked = true out/,
  },
  {
    name: 'insecure_registries of crio.conf',
    node: CRIO,
    files: {
      '/etc/crio/crio.conf.d/20-insecure.conf':
        '[crio.image]\ninsecure_registries = ["hub.corp.example:5000"]\n',
    },
    check: 'crio-insecure',
    file: '/etc/crio/crio.conf.d/20-insecure.conf',
    line: 2,
    severity: 'warning',
    says: /insecure_registries/,
    mend: /insecure = true/,
  },
  {
    name: 'the pause image is of a registry that is not to be asked',
    node: V2,
    files: resolverYaml(CONTAINERD, 'mirrorsOnly: [registry.k8s.io]\n'),
    check: 'pause-image',
    file: TOML,
    line: 11,
    says: /registry.k8s.io\/pause:3.8, and registry.k8s.io is in mirrorsOnly/,
    mend: /as harbor.corp.example\/pause, by sandbox_image/,
  },
  {
    name: 'the service would ask a registry of the company through a proxy',
    node: V2,
    files: resolverYaml(
      CONTAINERD,
      '- address: https://10.1.2.3:5000\n  upstreams: [quay.io]\nproxy: {https: "http://proxy.example:3128"}\n',
    ),
    check: 'proxies',
    file: OWN,
    severity: 'warning',
    says: /10.1.2.3:5000 would be asked through the proxy/,
    mend: /NO_PROXY in the unit: 10.1.2.3/,
  },
  {
    name: 'containerd would pull from a registry of the company through a proxy',
    node: V2,
    files: {
      ...resolverYaml(CONTAINERD, '- address: https://10.1.2.3:5000\n  upstreams: [quay.io]\n'),
      '/etc/systemd/system/containerd.service.d/proxy.conf':
        '[Service]\nEnvironment=HTTPS_PROXY=http://proxy.example:3128\nEnvironment=NO_PROXY=localhost\n',
    },
    check: 'proxies',
    file: '/etc/systemd/system/containerd.service.d/proxy.conf',
    line: 2,
    severity: 'warning',
    says: /would pull from 10.1.2.3:5000 through its proxy/,
    mend: /daemon-reload/,
  },
  {
    name: 'the service may have too few descriptors',
    node: V2,
    files: {
      '/proc/77/cmdline':
        'node\0--max-semi-space-size=2\0/opt/image-resolver/dist/app/main.js\0--config\0/etc/image-resolver.yaml\0',
      '/proc/77/limits':
        'Limit                     Soft Limit           Hard Limit           Units     \nMax open files            1024                 524288               files     \n',
    },
    check: 'descriptors',
    file: '/proc/77/limits',
    severity: 'warning',
    says: /may have 1024 descriptors open/,
    mend: /LimitNOFILE=65536/,
  },
  {
    name: 'the cgroup of the service is too small',
    node: V2,
    files: {
      '/proc/77/cmdline': 'node\0/opt/image-resolver/dist/app/main.js\0',
      '/proc/77/cgroup': '0::/system.slice/image-resolver.service\n',
      '/sys/fs/cgroup/system.slice/image-resolver.service/memory.max': '134217728\n',
    },
    check: 'memory-limit',
    file: '/sys/fs/cgroup/system.slice/image-resolver.service/memory.max',
    says: /128 MiB/,
    mend: /MemoryMax=/,
  },
]

for (const {
  check,
  file,
  files,
  line,
  mend,
  name,
  node,
  says,
  served,
  severity,
  stale,
} of MISTAKES) {
  test(`it is found that ${name}`, async (t) => {
    const more = { ...(files && { files }), ...(served && { served }), ...(stale && { stale }) }
    const root = await plantNode(t, BOOTED, node, more)

    const { findings } = await examineNode(root)

    assert.deepEqual(
      findings.map((found) => [found.check, found.severity, found.file, found.line]),
      [[check, severity ?? 'error', file ?? findings[0]?.file, line ?? null]],
      JSON.stringify(findings, null, 2),
    )
    assert.match(findings[0]?.problem ?? '', says)
    assert.match(findings[0]?.mend ?? '', mend)
  })
}

test('a secret that every user can read is found, also in the configuration itself', async (t) => {
  const root = await plantNode(t, BOOTED, V2, {
    files: {
      ...resolverYaml(CONTAINERD, '  username: puller\n  passwordFile: /etc/harbor-password\n'),
      '/etc/harbor-password': 'passw0rd\n',
    },
  })
  chmodSync(join(root, '/etc/harbor-password'), 0o644)

  const { findings } = await examineNode(root)

  assert.deepEqual(
    findings.map(({ check, file, severity }) => [check, severity, file]),
    [['named-files', 'warning', '/etc/harbor-password']],
  )
  assert.doesNotMatch(JSON.stringify(findings), /passw0rd/)
})

test('a state folder that other users may write is found', async (t) => {
  const root = await plantNode(t, BOOTED, V2)
  mkdirSync(join(root, 'var/lib/image-resolver'), { mode: 0o777 })
  chmodSync(join(root, 'var/lib/image-resolver'), 0o777)

  const { findings } = await examineNode(root)

  assert.deepEqual(
    findings.map(({ check, severity }) => [check, severity]),
    [['state-folder', 'error']],
  )
  assert.match(findings[0]?.problem ?? '', /mode 777/)
})

test('a certificate in a file is found three weeks before its end, and when it is not valid yet', async (t) => {
  const { cert } = createCertificate()
  const files = {
    ...resolverYaml(CONTAINERD, 'http: {tls: {cert: /etc/tls.crt, key: /etc/tls.key}}\n'),
    '/etc/tls.crt': cert,
    '/etc/tls.key': 'key',
  }
  const root = await plantNode(t, BOOTED, V2, { files })
  const year = new Date().getUTCFullYear()
  const at = async (time: string) =>
    (await examineNode(root, { now: () => Date.parse(time) })).findings.map(
      ({ check, problem, severity }) => [check, severity, problem],
    )

  assert.deepEqual(await at(`${year}-06-01T00:00:00Z`), [])
  const [near, ended, early] = [
    await at(`${year}-12-25T00:00:00Z`),
    await at(`${year + 3}-01-01T00:00:00Z`),
    await at(`${year - 3}-01-01T00:00:00Z`),
  ]

  assert.match(
    String(near),
    /^certificate-files,warning,http.tls.cert: its certificate ends on .*, in \d+ days$|^$/,
  )
  assert.match(String(ended), /^certificate-files,error,http.tls.cert: its certificate ended on /)
  assert.match(
    String(early),
    /^certificate-files,error,http.tls.cert: its certificate is not valid before /,
  )
})

test('a file of k3s is not to be edited: its finding says what is', async (t) => {
  const file = '/var/lib/rancher/k3s/agent/etc/containerd/config.toml'
  const text = GOOD_NODES.k3s.files?.[file] ?? assert.fail()
  const root = await plantNode(t, BOOTED, GOOD_NODES.k3s, {
    files: { [file]: text.replace(/(config_path = ".*)"/, '$1:/etc/docker/certs.d"') },
  })

  const { findings } = await examineNode(root)

  assert.deepEqual(
    findings.map(({ check }) => check),
    ['containerd-config-path'],
  )
  assert.match(findings[0]?.mend ?? '', /k3s writes this file .*registries.yaml/)
})

test('what cannot be read is said, and ends no other check', async (t) => {
  const root = await plantNode(t, BOOTED, V2)
  mkdirSync(join(root, 'etc/containerd/conf.d/x.toml'), { recursive: true })
  writeFileSync(join(root, TOML), 'version = 2\nimports = ["conf.d/*.toml"]\n')

  const { checked, findings, skipped } = await examineNode(root)

  assert.match(skipped.join('\n'), /x\.toml.*not a regular file/)
  assert.ok(checked.length > 20)
  assert.deepEqual(findings, [])
})
