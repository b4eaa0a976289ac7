import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ExamineOptions, examine } from '../../src/doctor/doctor.ts'

/** What a node has at its paths. */
export interface NodeTree {
  readonly files?: Readonly<Record<string, string>>
  /** Sockets that a server listens at. */
  readonly served?: readonly string[]
  /** Sockets whose server has gone without removing them. */
  readonly stale?: readonly string[]
}

/** A node's tree in a folder of its own; files are the owner's alone, and none has a shim or a runtime that runs. */
export async function plantNode(t: TestContext, ...trees: readonly NodeTree[]): Promise<string> {
  // Short, since the path of a socket has 107 bytes at most.
  const root = mkdtempSync('/tmp/node-')
  t.after(() => rmSync(root, { recursive: true, force: true }))
  mkdirSync(join(root, 'run'))
  mkdirSync(join(root, 'var'))
  symlinkSync('/run', join(root, 'var/run'))
  for (const [path, text] of Object.entries(
    Object.assign({}, ...trees.map(({ files }) => files)),
  )) {
    const file = join(root, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, String(text), { mode: 0o600 })
  }
  const socket = async (path: string): Promise<() => Promise<void>> => {
    const file = join(root, path.replace('/var/run/', '/run/'))
    mkdirSync(dirname(file), { recursive: true })
    const server = createServer((client) => client.destroy())
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(file, resolve)
    })
    return () => new Promise((resolve) => void server.close(() => resolve()))
  }
  for (const path of trees.flatMap(({ served = [] }) => served)) t.after(await socket(path))
  for (const path of trees.flatMap(({ stale = [] }) => stale)) {
    const close = await socket(path)
    const file = join(root, path.replace('/var/run/', '/run/'))
    // Closing removes the file from where it was made.
    renameSync(file, `${file}.kept`)
    await close()
    renameSync(`${file}.kept`, file)
  }
  return root
}

export function examineNode(root: string, more: Partial<ExamineOptions> = {}) {
  return examine({ file: undefined, root, offline: true, environment: {}, ...more })
}

const SHIM = '/var/run/image-cri-shim.sock'

/** kubelet as kubeadm sets it up (kubernetes/release, 10-kubeadm.conf), with flags for its endpoints. */
export function kubeadm(flags: string, config = '') {
  return {
    '/usr/lib/systemd/system/kubelet.service':
      '[Unit]\nDescription=kubelet: The Kubernetes Node Agent\n\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n',
    '/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf': `# Note: This dropin only works with kubeadm and kubelet v1.11+
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`,
    '/var/lib/kubelet/kubeadm-flags.env': `KUBELET_KUBEADM_ARGS="${flags}"\n`,
    '/var/lib/kubelet/config.yaml': `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: false
cgroupDriver: systemd
clusterDNS:
- 10.96.0.10
${config}`,
  }
}

/** The service's configuration, with one registry. */
export function resolverYaml(cri: string, more = '') {
  return {
    '/etc/image-resolver.yaml': `shim: ${SHIM}\ncri: ${cri}\nregistries:\n- address: https://harbor.corp.example\n  upstreams: [docker.io]\n${more}`,
  }
}

/** What runs on every node. */
export const BOOTED: NodeTree = { files: { '/proc/1/cmdline': '/sbin/init\0' } }

const CONTAINERD = '/run/containerd/containerd.sock'
const IMAGES_FLAG = `--image-service-endpoint=unix://${SHIM}`

const CONFIG_V2 = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "${CONTAINERD}"

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    sandbox_image = "registry.k8s.io/pause:3.8"
    [plugins."io.containerd.grpc.v1.cri".containerd]
      default_runtime_name = "runc"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
        runtime_type = "io.containerd.runc.v2"
        [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
          SystemdCgroup = true
    [plugins."io.containerd.grpc.v1.cri".registry]
      config_path = "/etc/containerd/certs.d"
`

const CONFIG_V3 = `version = 3
root = '/var/lib/containerd'
state = '/run/containerd'

[plugins]
  [plugins.'io.containerd.cri.v1.images']
    snapshotter = 'overlayfs'
    [plugins.'io.containerd.cri.v1.images'.pinned_images]
      sandbox = 'registry.k8s.io/pause:3.10.2'
    [plugins.'io.containerd.cri.v1.images'.registry]
      config_path = '/etc/containerd/certs.d'
  [plugins.'io.containerd.cri.v1.runtime']
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
      runtime_type = 'io.containerd.runc.v2'
      [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
        SystemdCgroup = true
`

const HOSTS = `server = "https://harbor.corp.example"

[host."https://harbor.corp.example"]
  capabilities = ["pull", "resolve"]
`

/** As k3s and rke2 generate it. */
function rancherConfig(name: string): string {
  return `# File generated by ${name}. DO NOT EDIT. Use config.toml.tmpl instead.
version = 3
root = "/var/lib/rancher/${name}/agent/containerd"
state = "/run/k3s/containerd"

[grpc]
  address = "/run/k3s/containerd/containerd.sock"

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "rancher/mirrored-pause:3.6"

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = "/var/lib/rancher/${name}/agent/etc/containerd/certs.d"
`
}

function rancher(name: 'k3s' | 'rke2', unit: string, command: string): NodeTree {
  const containerd = `/var/lib/rancher/${name}/agent/etc/containerd`
  return {
    files: {
      [`/etc/systemd/system/${unit}`]: `[Unit]\nDescription=Lightweight Kubernetes\n\n[Service]\nType=notify\nEnvironmentFile=-/etc/default/%N\nExecStart=/usr/local/bin/${command}\n`,
      [`/etc/rancher/${name}/config.yaml`]: `kubelet-arg:\n- image-service-endpoint=unix://${SHIM}\n`,
      [`/etc/rancher/${name}/registries.yaml`]:
        'mirrors:\n  docker.io:\n    endpoint: ["https://harbor.corp.example"]\n',
      [`${containerd}/config.toml`]: rancherConfig(name),
      [`${containerd}/certs.d/docker.io/hosts.toml`]: `# File generated by ${name}. DO NOT EDIT.\n\nserver = "https://registry-1.docker.io/v2"\ncapabilities = ["pull", "resolve", "push"]\n\n[host]\n[host."https://harbor.corp.example/v2"]\n  capabilities = ["pull", "resolve"]\n`,
      [`${containerd}/certs.d/harbor.corp.example/hosts.toml`]: HOSTS,
      ...resolverYaml('/run/k3s/containerd/containerd.sock'),
    },
    served: [SHIM, '/run/k3s/containerd/containerd.sock'],
  }
}

const KUBEADM_V2 = {
  files: {
    ...kubeadm(`--container-runtime-endpoint=unix://${CONTAINERD} ${IMAGES_FLAG}`),
    ...resolverYaml(CONTAINERD),
    '/etc/containerd/config.toml': CONFIG_V2,
    '/etc/containerd/certs.d/harbor.corp.example/hosts.toml': HOSTS,
  },
  served: [SHIM, CONTAINERD],
}

const KUBEADM_V3 = {
  files: {
    ...kubeadm(
      '',
      `containerRuntimeEndpoint: unix://${CONTAINERD}\nimageServiceEndpoint: unix://${SHIM}\n`,
    ),
    ...resolverYaml(CONTAINERD),
    '/etc/containerd/config.toml': CONFIG_V3,
    '/etc/containerd/certs.d/_default/hosts.toml': HOSTS.replace(/^server.*\n/, ''),
    '/etc/containerd/certs.d/harbor.corp.example/hosts.toml': HOSTS,
  },
  served: [SHIM, CONTAINERD],
}

/** Ten nodes on which nothing stands in the way. */
export const GOOD_NODES = {
  'kubeadm with containerd 1.7': KUBEADM_V2,
  'kubeadm with containerd 2': KUBEADM_V3,
  k3s: rancher('k3s', 'k3s.service', 'k3s server'),
  rke2: rancher('rke2', 'rke2-server.service', 'rke2 server'),
  'CRI-O': {
    files: {
      ...kubeadm(`--container-runtime-endpoint=unix://${SHIM}`),
      ...resolverYaml('/var/run/crio/crio.sock'),
      '/etc/crio/crio.conf.d/10-crio.conf':
        '[crio.image]\nsignature_policy = "/etc/crio/policy.json"\n\n[crio.runtime]\ndefault_runtime = "crun"\n',
      '/etc/containers/registries.conf':
        'unqualified-search-registries = ["docker.io"]\nshort-name-mode = "enforcing"\n\n[[registry]]\nprefix = "*.corp.example"\n\n[[registry]]\nlocation = "docker.io"\n[[registry.mirror]]\nlocation = "harbor.corp.example/proxy"\n',
      '/etc/containers/registries.conf.d/000-shortnames.conf':
        '[aliases]\n  "debian" = "docker.io/library/debian"\n',
    },
    served: [SHIM, '/run/crio/crio.sock'],
  },
  'cri-dockerd': {
    files: {
      ...kubeadm(`--container-runtime-endpoint=unix://${SHIM}`),
      ...resolverYaml('unix:///run/cri-dockerd.sock'),
      '/etc/docker/daemon.json': '{"exec-opts": ["native.cgroupdriver=systemd"]}\n',
    },
    served: [SHIM, '/run/cri-dockerd.sock'],
  },
  'a kubelet without kubeadm': {
    files: {
      '/etc/systemd/system/kubelet.service': `[Service]\nExecStart=/usr/local/bin/kubelet --config=/etc/kubelet.yaml \\\n  --container-runtime-endpoint=unix://${CONTAINERD} \\\n  --image-service-endpoint=unix://${SHIM}\n`,
      '/etc/kubelet.yaml':
        'kind: KubeletConfiguration\napiVersion: kubelet.config.k8s.io/v1beta1\n',
      ...resolverYaml(CONTAINERD),
      '/etc/containerd/config.toml': 'version = 2\n',
    },
    served: [SHIM, CONTAINERD],
  },
  sealos: {
    files: {
      ...kubeadm(
        `--container-runtime-endpoint=unix://${CONTAINERD} --image-service-endpoint=unix://${SHIM} --pod-infra-container-image=registry.k8s.io/pause:3.8`,
      ),
      '/etc/image-cri-shim.yaml': `shim: ${SHIM}\ncri: ${CONTAINERD}\naddress: http://sealos.hub:5000\nforce: true\ndebug: false\nimage: /var/lib/image-cri-shim\ntimeout: 15m\nauth: admin:passw0rd\n`,
      '/etc/systemd/system/image-cri-shim.service':
        '[Service]\nExecStart=/usr/bin/image-cri-shim -f /etc/image-cri-shim.yaml\n',
      '/etc/containerd/config.toml': CONFIG_V2.replace(
        'registry.k8s.io/pause',
        'sealos.hub:5000/pause',
      ),
      '/etc/containerd/certs.d/sealos.hub:5000/hosts.toml':
        'server = "http://sealos.hub:5000"\n\n[host."http://sealos.hub:5000"]\n  capabilities = ["pull", "resolve", "push"]\n  skip_verify = true\n',
    },
    served: [SHIM, CONTAINERD],
  },
  'with proxies': {
    ...KUBEADM_V2,
    files: {
      ...KUBEADM_V2.files,
      ...resolverYaml(
        CONTAINERD,
        '- address: https://10.1.2.3:5000\n  upstreams: [quay.io]\nproxy: {https: "http://proxy.corp.example:3128", no: "10.0.0.0/8,.corp.example"}\n',
      ),
      '/etc/systemd/system/containerd.service.d/http-proxy.conf':
        '[Service]\nEnvironment="HTTP_PROXY=http://proxy.corp.example:3128" "HTTPS_PROXY=http://proxy.corp.example:3128"\nEnvironment="NO_PROXY=localhost,127.0.0.1,10.0.0.0/8,.corp.example"\n',
    },
  },
  'with imports': {
    ...KUBEADM_V3,
    files: {
      ...KUBEADM_V3.files,
      '/etc/containerd/config.toml':
        'version = 3\nimports = ["/etc/containerd/conf.d/*.toml", "nvidia.toml"]\n',
      '/etc/containerd/conf.d/registry.toml':
        'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\nconfig_path = "/etc/containerd/certs.d"\n',
      '/etc/containerd/nvidia.toml':
        'version = 3\n[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.nvidia]\nruntime_type = "io.containerd.runc.v2"\n',
    },
  },
} as const satisfies Readonly<Record<string, NodeTree>>
