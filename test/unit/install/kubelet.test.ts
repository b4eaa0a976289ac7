import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findKubelet, type KubeletMode, leadingTo } from '../../../src/install/kubelet.ts'
import { leadKubelet, leadKubeletBack } from '../../../src/install/kubelet-edits.ts'
import { Root } from '../../../src/install/root.ts'
import { temporaryFolder } from '../../support/stack.ts'

const SHIM = '/var/run/image-cri-shim.sock'
const ENDPOINT = `unix://${SHIM}`
const CONTAINERD = '/run/containerd/containerd.sock'

/** As the package kubelet of pkgs.k8s.io has it, with the drop-in of kubeadm. */
const KUBEADM = {
  '/usr/lib/systemd/system/kubelet.service': `[Unit]
Description=kubelet: The Kubernetes Node Agent
Documentation=https://kubernetes.io/docs/
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
`,
  '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf': `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
# This is a file that "kubeadm init" and "kubeadm join" generates at runtime, populating the KUBELET_KUBEADM_ARGS variable dynamically
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
# This is a file that the user can use for overrides of the kubelet args as a last resort.
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
  '/var/lib/kubelet/kubeadm-flags.env':
    'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///run/containerd/containerd.sock --pod-infra-container-image=registry.k8s.io/pause:3.10"\n',
  '/var/lib/kubelet/config.yaml': `apiVersion: kubelet.config.k8s.io/v1beta1
authentication:
  anonymous:
    enabled: false
cgroupDriver: systemd   # as containerd
containerRuntimeEndpoint: ""
kind: KubeletConfiguration
staticPodPath: /etc/kubernetes/manifests
`,
}

/** In the way of Kubernetes The Hard Way: one unit, with all of its flags on lines of their own. */
const PLAIN = {
  '/etc/systemd/system/kubelet.service': `[Unit]
Description=Kubernetes Kubelet
After=containerd.service
Requires=containerd.service

[Service]
ExecStart=/usr/local/bin/kubelet \\
  --config=/var/lib/kubelet/kubelet-config.yaml \\
  --kubeconfig=/var/lib/kubelet/kubeconfig \\
  --v=2
Restart=on-failure

[Install]
WantedBy=multi-user.target
`,
  '/var/lib/kubelet/kubelet-config.yaml': `kind: KubeletConfiguration
apiVersion: kubelet.config.k8s.io/v1beta1
# The runtime of this node.
containerRuntimeEndpoint: "unix:///var/run/containerd/containerd.sock"
cgroupDriver: "systemd"
`,
}

const K3S = {
  '/etc/systemd/system/k3s-agent.service': `[Unit]
Description=Lightweight Kubernetes

[Service]
Type=notify
EnvironmentFile=-/etc/systemd/system/k3s-agent.service.env
KillMode=process
ExecStartPre=-/sbin/modprobe overlay
ExecStart=/usr/local/bin/k3s \\
    agent \\
        '--node-name' \\
        'edge-7' \\

`,
  '/etc/rancher/k3s/config.yaml': `server: https://cp:6443
token: K10secret
kubelet-arg:
  - max-pods=80   # small machines
`,
}

const RKE2 = {
  '/usr/local/lib/systemd/system/rke2-server.service': `[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
ExecStart=/usr/local/bin/rke2 server
`,
  '/etc/rancher/rke2/config.yaml': 'write-kubeconfig-mode: "0644"\n',
}

type Files = Readonly<Record<string, string>>

function plant(t: TestContext, ...all: readonly Files[]): Root {
  const folder = temporaryFolder(t)
  for (const [path, text] of all.flatMap((files) => Object.entries(files))) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), text)
  }
  return new Root(folder)
}

function find(root: Root) {
  const kubelet = findKubelet(root)
  assert.ok(kubelet !== undefined)
  return kubelet
}

/** Writes what leads kubelet to the service, and what leads it there then. */
function lead(root: Root, mode: KubeletMode) {
  const files = leadKubelet(root, mode, SHIM)
  for (const { path, text } of files) {
    mkdirSync(dirname(root.outside(path)), { recursive: true })
    writeFileSync(root.outside(path), text ?? '')
  }
  assert.equal(leadingTo(find(root), SHIM), mode)
  assert.deepEqual(leadKubelet(root, mode, SHIM), [], 'a second time changes nothing')
  return files
}

test('a kubelet of kubeadm gets the flag where `kubeadm upgrade` leaves it', (t) => {
  const root = plant(t, KUBEADM)

  const { runtime, images, unit } = find(root)
  const files = lead(root, 'images')

  const { at: _at, ...setting } = runtime ?? { at: [] }
  assert.deepEqual(setting, {
    value: `unix://${CONTAINERD}`,
    file: '/var/lib/kubelet/kubeadm-flags.env',
    line: 1,
    kind: 'flag',
  })
  assert.deepEqual([images, unit], [undefined, 'kubelet.service'])
  assert.deepEqual(files, [
    {
      path: '/etc/default/kubelet',
      text: `# Written by image-resolver install; image-resolver uninstall takes it away.\nKUBELET_EXTRA_ARGS=--image-service-endpoint=${ENDPOINT}\n`,
    },
  ])
})

for (const [before, after] of [
  ['KUBELET_EXTRA_ARGS=\n', `KUBELET_EXTRA_ARGS=--image-service-endpoint=${ENDPOINT}\n`],
  [
    '# extra\nKUBELET_EXTRA_ARGS="--node-ip=10.0.0.7"\n',
    `# extra\nKUBELET_EXTRA_ARGS="--node-ip=10.0.0.7 --image-service-endpoint=${ENDPOINT}"\n`,
  ],
  [
    '# KUBELET_EXTRA_ARGS=--image-service-endpoint=unix:///x.sock\nKUBELET_EXTRA_ARGS=--v=2 --node-ip=10.0.0.7',
    `# KUBELET_EXTRA_ARGS=--image-service-endpoint=unix:///x.sock\nKUBELET_EXTRA_ARGS=--v=2 --node-ip=10.0.0.7 --image-service-endpoint=${ENDPOINT}`,
  ],
  [
    'KUBELET_EXTRA_ARGS=--image-service-endpoint unix:///old.sock --v=2\n',
    `KUBELET_EXTRA_ARGS=--image-service-endpoint ${ENDPOINT} --v=2\n`,
  ],
] as const) {
  test(`what stands in KUBELET_EXTRA_ARGS stays: ${before.trim()}`, (t) => {
    const root = plant(t, KUBEADM, { '/etc/default/kubelet': before })

    const files = lead(root, 'images')

    assert.deepEqual(files, [{ path: '/etc/default/kubelet', text: after }])
  })
}

const SITE = '/etc/systemd/system/kubelet.service.d/20-site.conf'
const FLAG = `--image-service-endpoint=${ENDPOINT}`

for (const [before, after] of [
  [
    '"KUBELET_EXTRA_ARGS=--node-ip=10.0.0.7 --v=2"',
    `"KUBELET_EXTRA_ARGS=--node-ip=10.0.0.7 --v=2 ${FLAG}"`,
  ],
  ["A=1 'KUBELET_EXTRA_ARGS=--v=2' B=2", `A=1 'KUBELET_EXTRA_ARGS=--v=2 ${FLAG}' B=2`],
  ['KUBELET_EXTRA_ARGS=--v=2 B=2', `KUBELET_EXTRA_ARGS="--v=2 ${FLAG}" B=2`],
  ['KUBELET_EXTRA_ARGS="--v=2"', `KUBELET_EXTRA_ARGS="--v=2 ${FLAG}"`],
] as const) {
  test(`a flag is added to KUBELET_EXTRA_ARGS where the unit sets it: ${before}`, (t) => {
    const text = `[Service]\nEnvironment=${before}\nMemoryMax=1G\n`
    const root = plant(t, KUBEADM, { [SITE]: text })

    const files = lead(root, 'images')

    assert.deepEqual(files, [{ path: SITE, text: text.replace(before, after) }])
  })
}

test('a flag is added to KUBELET_EXTRA_ARGS in the file of the environment that sets it, also before the one of kubeadm', (t) => {
  const unit = Object.keys(KUBEADM).find((path) => path.endsWith('10-kubeadm.conf')) ?? ''
  const text = Object.entries(KUBEADM).find(([path]) => path === unit)?.[1] ?? ''
  const first = 'EnvironmentFile=-/etc/site.env\nEnvironmentFile=-/etc/default/kubelet'
  const root = plant(t, KUBEADM, {
    [unit]: text.replace('EnvironmentFile=-/etc/default/kubelet', first),
    '/etc/site.env': 'KUBELET_EXTRA_ARGS=--node-ip=10.0.0.7\n',
  })

  const files = lead(root, 'images')

  assert.deepEqual(files, [
    { path: '/etc/site.env', text: `KUBELET_EXTRA_ARGS=--node-ip=10.0.0.7 ${FLAG}\n` },
  ])
})

test('KUBELET_EXTRA_ARGS that the unit sets in a way that is not edited is named with its line, and not set anew', (t) => {
  const root = plant(t, KUBEADM, {
    [SITE]: '[Service]\nEnvironment=KUBELET_EXTRA_ARGS=--a\\\\b\n',
  })

  assert.throws(() => leadKubelet(root, 'images', SHIM), {
    code: 'CONFIG_INVALID',
    message: new RegExp(`^${SITE}:2: .*; add ${FLAG} there by hand$`),
  })
})

test('every call of a kubelet of kubeadm is led by the flag that kubeadm has written', (t) => {
  const root = plant(t, KUBEADM)

  const files = lead(root, 'all')

  assert.deepEqual(files, [
    {
      path: '/var/lib/kubelet/kubeadm-flags.env',
      text: KUBEADM['/var/lib/kubelet/kubeadm-flags.env'].replace(`unix://${CONTAINERD}`, ENDPOINT),
    },
  ])
})

test('a folder of --config-dir gets a file of its own, and later files there count', (t) => {
  const flags = {
    '/etc/default/kubelet': 'KUBELET_EXTRA_ARGS=--config-dir=/etc/kubernetes/kubelet.conf.d\n',
  }
  const other = {
    '/etc/kubernetes/kubelet.conf.d/90-site.conf':
      '# site\nimageServiceEndpoint: unix:///old.sock\n',
  }

  const alone = lead(plant(t, KUBEADM, flags), 'images')
  const changed = lead(plant(t, KUBEADM, flags, other), 'images')

  assert.deepEqual(
    alone.map(({ path }) => path),
    ['/etc/kubernetes/kubelet.conf.d/20-image-resolver.conf'],
  )
  assert.match(alone[0]?.text ?? '', /^kind: KubeletConfiguration$/m)
  assert.deepEqual(changed, [
    {
      path: '/etc/kubernetes/kubelet.conf.d/90-site.conf',
      text: `# site\nimageServiceEndpoint: ${ENDPOINT}\n`,
    },
  ])
})

test('a plain kubelet is led by its configuration file, whose comments and quotes stay', (t) => {
  const text = PLAIN['/var/lib/kubelet/kubelet-config.yaml']
  const path = '/var/lib/kubelet/kubelet-config.yaml'

  const images = lead(plant(t, PLAIN), 'images')
  const all = lead(plant(t, PLAIN), 'all')

  assert.deepEqual(images, [{ path, text: `${text}imageServiceEndpoint: ${ENDPOINT}\n` }])
  assert.deepEqual(all, [
    { path, text: text.replace('unix:///var/run/containerd/containerd.sock', ENDPOINT) },
  ])
})

test('a configuration file in JSON stays JSON', (t) => {
  const path = '/var/lib/kubelet/kubelet-config.yaml'
  const root = plant(t, PLAIN, { [path]: '{\n  "kind": "KubeletConfiguration"\n}\n' })

  const [file] = lead(root, 'images')

  assert.deepEqual(JSON.parse(file?.text ?? ''), {
    kind: 'KubeletConfiguration',
    imageServiceEndpoint: ENDPOINT,
  })
})

test('a kubelet with flags alone gets a drop-in with its own command and one flag more', (t) => {
  const unit = `[Service]
ExecStart=/usr/bin/kubelet \\
  --kubeconfig=/k \\
  # a comment
  --container-runtime-endpoint=unix:///run/crio/crio.sock
`
  const root = plant(t, { '/etc/systemd/system/kubelet.service': unit })

  const [file] = lead(root, 'images')

  assert.equal(file?.path, '/etc/systemd/system/kubelet.service.d/20-image-resolver.conf')
  assert.match(
    file?.text ?? '',
    /\[Service\]\nExecStart=\nExecStart=\/usr\/bin\/kubelet +--kubeconfig=\/k +--container-runtime-endpoint=unix:\/\/\/run\/crio\/crio\.sock --image-service-endpoint=unix:\S+\n$/,
  )
  assert.equal(find(root).runtime?.value, 'unix:///run/crio/crio.sock')
})

test('k3s and rke2 get an argument of kubelet beside those that are there', (t) => {
  for (const [files, name, unit] of [
    [K3S, 'k3s', 'k3s-agent.service'],
    [RKE2, 'rke2', 'rke2-server.service'],
  ] as const) {
    const root = plant(t, files)

    const [file] = lead(root, 'images')

    assert.equal(find(root).unit, unit)
    assert.equal(file?.path, `/etc/rancher/${name}/config.yaml.d/99-image-resolver.yaml`)
    assert.match(file?.text ?? '', /^kubelet-arg\+:\n {2}- image-service-endpoint=unix:\S+\n$/m)
  }
})

test('of units that are there beside each other, the one that is enabled is that of kubelet', (t) => {
  const folder = '/usr/local/lib/systemd/system'
  const units = {
    [`${folder}/rke2-server.service`]: '[Service]\nExecStart=/usr/local/bin/rke2 server\n',
    [`${folder}/rke2-agent.service`]: '[Service]\nExecStart=/usr/local/bin/rke2 agent\n',
  }
  for (const [files, from, unit] of [
    [units, folder, 'rke2-server.service'],
    [units, folder, 'rke2-agent.service'],
    [{ ...units, ...KUBEADM }, '/usr/lib/systemd/system', 'kubelet.service'],
  ] as const) {
    const root = plant(t, files)
    const wants = `${root.base}/etc/systemd/system/multi-user.target.wants`
    mkdirSync(wants, { recursive: true })
    symlinkSync(`${from}/${unit}`, `${wants}/${unit}`)

    assert.equal(find(root).unit, unit)
  }
})

for (const [what, unit] of [
  ['-c', 'ExecStart=/usr/local/bin/k3s agent -c /data/k3s.yaml'],
  ['--config', "ExecStart=/usr/local/bin/k3s agent '--config=/data/k3s.yaml'"],
  [
    'a -c below its folder to work in',
    'WorkingDirectory=/data\nExecStart=/usr/local/bin/k3s agent -c k3s.yaml',
  ],
  [
    'K3S_CONFIG_FILE',
    'Environment=K3S_CONFIG_FILE=/data/k3s.yaml\nExecStart=/usr/local/bin/k3s agent',
  ],
] as const) {
  test(`k3s gets its argument beside the file of ${what}, the only one that it reads then`, (t) => {
    const root = plant(t, {
      ...K3S,
      '/etc/systemd/system/k3s-agent.service': `[Service]\n${unit}\n`,
      '/etc/rancher/k3s/config.yaml.d/50-other.yaml': `kubelet-arg: image-service-endpoint=${ENDPOINT}\n`,
      '/data/k3s.yaml': 'kubelet-arg+: max-pods=80\n',
    })

    const [file] = lead(root, 'images')

    assert.equal(file?.path, '/data/k3s.yaml.d/99-image-resolver.yaml')
  })
}

test('an argument of k3s that is there is changed where it stands', (t) => {
  const path = '/etc/rancher/k3s/config.yaml.d/10-kubelet.yaml'
  const text = 'kubelet-arg+:\n  # lazy pulls\n  - "image-service-endpoint=unix:///stargz.sock"\n'
  const root = plant(t, K3S, { [path]: text })

  const files = lead(root, 'images')

  assert.deepEqual(files, [{ path, text: text.replace('unix:///stargz.sock', ENDPOINT) }])
})

test('an argument of kubelet in two words of the command of k3s is changed where it stands', (t) => {
  const [path, text] = Object.entries(K3S)[0] ?? []
  const unit = text?.replace(
    "'edge-7' \\\n",
    "'edge-7' \\\n\t'--kubelet-arg' \\\n\t'image-service-endpoint=unix:///stargz.sock' \\\n",
  )
  const root = plant(t, { ...K3S, [`${path}`]: `${unit}` })

  const files = lead(root, 'images')

  assert.deepEqual(files, [{ path, text: unit?.replace('unix:///stargz.sock', ENDPOINT) }])
})

for (const command of [
  '/bin/sh -c "exec kubelet --v=2"',
  '-/usr/bin/bash -ec "exec kubelet --v=2"',
  '/usr/local/bin/wrapper /usr/bin/kubelet --v=2',
  '/usr/bin/env A=b /usr/local/bin/start-kubelet.sh',
  '/opt/bin/kubelet $KUBELET_EXTRA_ARGS',
]) {
  test(`a flag is not added to ${command}, which may keep it from kubelet, and counts once it is there by hand`, (t) => {
    const [path, script] = ['/etc/systemd/system/kubelet.service', '/opt/bin/kubelet']
    const unit = (more: string) => ({
      [path]: `[Service]\nEnvironmentFile=-/etc/default/kubelet\nExecStart=${command}${more}\n`,
      [script]: '#!/bin/sh\nexec /usr/bin/kubelet\n',
    })
    const root = plant(t, unit(''))

    const { wrapper } = find(root)

    assert.deepEqual([wrapper?.file, wrapper?.line], [path, 3])
    assert.throws(() => leadKubelet(root, 'images', SHIM), {
      code: 'CONFIG_INVALID',
      message:
        /kubelet\.service:3: the unit starts \S+, not kubelet.*add --image-service-endpoint=\S+ there by hand \(systemctl edit --full kubelet\.service\)/,
    })
    const mended = plant(t, unit(` --image-service-endpoint=${ENDPOINT}`))
    assert.deepEqual(leadKubelet(mended, 'images', SHIM), [])
  })
}

for (const command of [
  '/usr/bin/kubelet',
  '/usr/bin/nice -n -5 /usr/bin/kubelet',
  '/usr/bin/nice -n -5 -- /usr/bin/kubelet',
  '-/usr/bin/env A=b /opt/kubelet-1.31.2/kubelet',
  '/usr/local/bin/hyperkube kubelet',
]) {
  test(`${command} is no wrapper of kubelet, and gets the flag`, (t) => {
    const root = plant(t, {
      '/etc/systemd/system/kubelet.service': `[Service]\nExecStart=${command} --v=2\n`,
    })

    lead(root, 'images')

    assert.equal(find(root).wrapper, undefined)
  })
}

test('k3s with a containerd of its own is not led with every call, since it would not start it then', (t) => {
  const root = plant(t, K3S)

  assert.throws(() => leadKubelet(root, 'all', SHIM), {
    code: 'UNSUPPORTED',
    message: /does not start its own containerd.*--kubelet images/,
  })
})

test('k3s in front of another runtime is led with every call', (t) => {
  const path = '/etc/rancher/k3s/config.yaml'
  const root = plant(t, K3S, { [path]: 'container-runtime-endpoint: /run/crio/crio.sock # ours\n' })

  const files = lead(root, 'all')

  assert.deepEqual(files, [{ path, text: `container-runtime-endpoint: ${ENDPOINT} # ours\n` }])
})

test('a kubelet whose files were changed since is led back by its endpoint alone', (t) => {
  const root = plant(t, KUBEADM, {
    '/etc/default/kubelet': `KUBELET_EXTRA_ARGS=--v=4 --image-service-endpoint=${ENDPOINT}\n`,
  })

  const files = leadKubeletBack(root, [SHIM], CONTAINERD)

  assert.deepEqual(files, [
    {
      path: '/etc/default/kubelet',
      text: `KUBELET_EXTRA_ARGS=--v=4 --image-service-endpoint=unix://${CONTAINERD}\n`,
    },
  ])
})

test('a node without a kubelet of systemd has none, and neither has one whose unit is masked', (t) => {
  assert.equal(findKubelet(plant(t, {})), undefined)
  assert.equal(findKubelet(plant(t, { '/etc/systemd/system/kubelet.service': '' })), undefined)
})

test('a file that is no YAML is named', (t) => {
  const path = '/var/lib/kubelet/kubelet-config.yaml'
  const root = plant(t, PLAIN, { [path]: 'kind: [\n' })

  assert.throws(() => findKubelet(root), { code: 'CONFIG_INVALID', message: new RegExp(path) })
})

for (const [what, text] of [
  ['nested too deeply', `kind: ${'['.repeat(300_000)}`],
  [
    'with too many aliases',
    `a: &a {${Array.from({ length: 9_000 }, (_, index) => `k${index}: 1`).join(', ')}}\nb: [${'*a, '.repeat(999)}*a]\n`,
  ],
] as const) {
  test(`a file that is ${what} is named with the line, and read no further`, (t) => {
    const path = '/var/lib/kubelet/kubelet-config.yaml'
    const root = plant(t, PLAIN, { [path]: text })

    assert.throws(() => findKubelet(root), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`^${path}:\\d+: .*(?:nested more than|aliases add more than)`),
    })
  })
}

test('a file that is larger than what is edited is named with that', (t) => {
  const path = '/var/lib/kubelet/kubelet-config.yaml'
  const comment = `# ${'c'.repeat(100)}\n`.repeat(700)
  for (const text of ['kind: KubeletConfiguration\n', 'imageServiceEndpoint: unix:///old.sock\n']) {
    const root = plant(t, PLAIN, { [path]: `${comment}${text}` })

    assert.throws(() => leadKubelet(root, 'images', SHIM), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`^${path}:.* is larger than 64 KiB, .*; set it to ${ENDPOINT} by hand$`),
    })
  }
})

test('what files below a folder of --config-dir say counts, in the order of names', (t) => {
  const folder = '/etc/kubernetes/kubelet.conf.d'
  const root = plant(t, KUBEADM, {
    '/etc/default/kubelet': `KUBELET_EXTRA_ARGS=--config-dir=${folder}\n`,
    [`${folder}/90/a.conf`]: 'imageServiceEndpoint: unix:///90.sock\n',
    [`${folder}/80.conf`]: 'imageServiceEndpoint: unix:///80.sock\n',
  })

  assert.equal(find(root).images?.value, 'unix:///90.sock')
})
