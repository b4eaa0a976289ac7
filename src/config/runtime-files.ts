import { posix } from 'node:path'
import { parse } from 'smol-toml'
import { isLoopbackHost } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { isSameSocket } from './addresses.ts'
import type { Config } from './config.ts'
import { readConfigFile } from './files.ts'
import { diskHostsFiles, type HostsFiles } from './sources/hosts-dir.ts'
import { isTable, parseHostsFile, type Table } from './sources/hosts-toml.ts'

const CERTS = '/etc/containerd/certs.d'
const MAX_IMPORTS = 64
/** The CRI plugin of config.toml's version 3, 2 and 1. */
const CRI_PLUGINS = ['io.containerd.cri.v1.images', 'io.containerd.grpc.v1.cri', 'cri']

/**
 * Registries of plain http that the runtime would speak https to: it is the runtime that pulls, and
 * by itself it takes http for loopback alone. Looks into the files of containerd, CRI-O and dockerd
 * where they usually are, and only for the runtime whose usual socket `cri` is.
 *
 * @param files default: the file system
 * @returns one line each, with the file to write; none where the runtime's folder is not to be seen
 */
export async function runtimeWarnings(
  { cri, registries }: Pick<Config, 'cri' | 'registries'>,
  files: HostsFiles = diskHostsFiles(readConfigFile),
): Promise<readonly string[]> {
  const plain = registries.filter(isPlainHttp)
  const look = RUNTIMES.find(({ socket }) => cri !== undefined && isSameSocket(socket, cri))
  if (plain.length === 0 || look === undefined) return []
  try {
    const hosts = [...new Set(plain.map(({ endpoint }) => endpoint.host))]
    return await look.warnings(hosts, files)
  } catch (thrown) {
    const reason = thrown instanceof Error ? thrown.message.split('\n', 1)[0] : String(thrown)
    return [`whether the runtime accepts registries of plain http cannot be seen: ${reason}`]
  }
}

/** What hostsDir names has a check of its own, for that very folder. */
function isPlainHttp({ endpoint, capabilities, source }: RegistryEntry): boolean {
  const isPulledFrom = capabilities === undefined || capabilities.includes('pull')
  const { scheme, host, root } = endpoint
  if (source === 'hostsDir' || !isPulledFrom || root !== undefined) return false
  return scheme === 'http' && !isLoopbackHost(host)
}

interface Look {
  readonly socket: string
  warnings(hosts: readonly string[], files: HostsFiles): Promise<readonly string[]>
}

const RUNTIMES: readonly Look[] = [
  { socket: '/run/containerd/containerd.sock', warnings: containerdWarnings },
  { socket: '/run/k3s/containerd/containerd.sock', warnings: k3sWarnings },
  { socket: '/run/crio/crio.sock', warnings: crioWarnings },
  { socket: '/run/cri-dockerd.sock', warnings: dockerWarnings },
]

async function containerdWarnings(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly string[]> {
  if ((await files.list('/etc/containerd')) === undefined) return []
  const { configPath, mirrors } = await containerdRegistry('/etc/containerd/config.toml', files)
  const folders = configPath.split(':').filter((each) => each !== '')
  const [folder = CERTS] = folders
  const open = hosts.filter((host) => !endpointsOf(mirrors, host).includes(`http://${host}`))
  if (open.length === 0) return []
  const missing = []
  for (const host of open) {
    const answers = await Promise.all(folders.map((each) => saysHttp(each, host, files)))
    if (!answers.includes(true)) missing.push(host)
  }
  return [
    ...(folders.length === 1 ? [] : [configPathWarning(configPath)]),
    ...missing.map(
      (host) =>
        `containerd would ask ${host} over https: ${folder}/${hostsFolder(host)}/hosts.toml with [host."http://${host}"] tells it otherwise; \`image-resolver containerd-hosts --direct --write ${folder}\` writes it`,
    ),
  ]
}

function configPathWarning(configPath: string): string {
  const now =
    configPath === ''
      ? 'has no config_path, so that no hosts.toml is read, or its default of two folders, with which containerd 2.2 and later read none (containerd#12808)'
      : `has the config_path ${configPath}: with a colon in it containerd 2.2 and later read no hosts.toml (containerd#12808)`
  return `/etc/containerd/config.toml ${now}; set config_path = "${CERTS}" and restart containerd`
}

/** What config.toml and the files that it imports say; later files win. */
async function containerdRegistry(
  file: string,
  files: HostsFiles,
): Promise<{ readonly configPath: string; readonly mirrors: Table }> {
  const root = await readToml(file, files)
  const { imports = [posix.join(posix.dirname(file), 'conf.d/*.toml')] } = root
  const names = Array.isArray(imports) ? imports.filter((each) => typeof each === 'string') : []
  const imported = await Promise.all(
    names
      .slice(0, MAX_IMPORTS)
      .map((name) => matching(posix.resolve(posix.dirname(file), name), files)),
  )
  let configPath = ''
  let mirrors: Table = {}
  for (const each of [root, ...(await readAll(imported.flat(), files))]) {
    for (const plugin of CRI_PLUGINS) {
      const registry = tableAt(each, 'plugins', plugin, 'registry')
      const { config_path: folder } = registry
      if (typeof folder === 'string' && folder !== '') configPath = folder
      mirrors = { ...mirrors, ...tableAt(registry, 'mirrors') }
    }
  }
  return { configPath, mirrors }
}

/** Whether some file for this host names it by http; `server` alone does not do for containerd 1.6. */
async function saysHttp(folder: string, host: string, files: HostsFiles): Promise<boolean> {
  for (const name of [hostsFolder(host), host]) {
    const path = posix.join(folder, name)
    const text = await files.read(posix.join(path, 'hosts.toml'))
    if (text === undefined) continue
    const { hosts } = await parseHostsFile(text, path)
    return hosts.some(({ url }) => url.scheme === 'http' && url.host === host)
  }
  return false
}

/** The form that containerd looks for first, since not every file system takes a colon. */
function hostsFolder(host: string): string {
  return host.replace(/:(\d+)$/, '_$1_')
}

function endpointsOf(mirrors: Table, host: string): readonly unknown[] {
  const { endpoint } = tableAt(mirrors, host)
  return Array.isArray(endpoint) ? endpoint : []
}

/** k3s and rke2 write containerd's files themselves, at each start. */
async function k3sWarnings(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly string[]> {
  const folders = ['k3s', 'rke2'].map(
    (name) => `/var/lib/rancher/${name}/agent/etc/containerd/certs.d`,
  )
  const there = await Promise.all(folders.map((folder) => files.list(folder)))
  const warnings = await Promise.all(
    hosts.map(async (host) => {
      const answers = await Promise.all(folders.map((folder) => saysHttp(folder, host, files)))
      if (answers.includes(true)) return []
      const where = there[1] === undefined ? 'k3s' : 'rke2'
      return `containerd would ask ${host} over https: under mirrors: in /etc/rancher/${where}/registries.yaml \`"${host}": {endpoint: ["http://${host}"]}\` tells it otherwise, from the next start of ${where}`
    }),
  )
  return warnings.flat()
}

async function crioWarnings(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly string[]> {
  const folder = '/etc/containers'
  if ((await files.list(folder)) === undefined) return []
  const more = await matching(`${folder}/registries.conf.d/*.conf`, files)
  const all = await readAll([`${folder}/registries.conf`, ...more], files)
  const insecure = all.flatMap((root) => {
    const { registries: old } = tableAt(root, 'registries', 'insecure')
    const tables = Array.isArray(root['registry']) ? root['registry'].filter(isTable) : []
    return [
      ...(Array.isArray(old) ? old : []),
      ...tables.flatMap((each) =>
        each['insecure'] === true ? [each['location'] ?? each['prefix'], each['prefix']] : [],
      ),
    ]
  })
  const isTold = (host: string): boolean =>
    insecure.some((name) => typeof name === 'string' && coversHost(name, host))
  return hosts
    .filter((host) => !isTold(host))
    .map(
      (host) =>
        `CRI-O would ask ${host} over https: ${folder}/registries.conf.d/50-${host.replace(/[^\w.-]/g, '-')}.conf with \`[[registry]]\`, \`location = "${host}"\` and \`insecure = true\` tells it otherwise, from the next reload of CRI-O`,
    )
}

/** `hub.corp:5000`, `hub.corp:5000/team` or `*.corp` of registries.conf. */
function coversHost(name: string, host: string): boolean {
  const [domain = ''] = name.split('/', 1)
  return domain.startsWith('*.') ? host.endsWith(domain.slice(1)) : domain === host
}

async function dockerWarnings(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly string[]> {
  if ((await files.list('/etc/docker')) === undefined) return []
  const text = (await files.read('/etc/docker/daemon.json')) ?? '{}'
  const root: unknown = JSON.parse(text)
  const list = isTable(root) ? root['insecure-registries'] : undefined
  const insecure = Array.isArray(list) ? list : []
  // A network as in 10.0.0.0/8 may be the one that the host is in.
  if (insecure.some((each) => typeof each === 'string' && each.includes('/'))) return []
  return hosts
    .filter((host) => !insecure.includes(host))
    .map(
      (host) =>
        `dockerd would ask ${host} over https: "${host}" among "insecure-registries" in /etc/docker/daemon.json tells it otherwise, from the next start of dockerd`,
    )
}

/** The files that a path with `*` in its last part means, by name. */
async function matching(pattern: string, files: HostsFiles): Promise<readonly string[]> {
  const { dir, base } = posix.parse(pattern)
  if (!base.includes('*')) return [pattern]
  const [start = '', end = ''] = base.split('*')
  const names = (await files.list(dir)) ?? []
  return names
    .filter((name) => name.startsWith(start) && name.endsWith(end))
    .sort()
    .slice(0, MAX_IMPORTS)
    .map((name) => posix.join(dir, name))
}

function readAll(paths: readonly string[], files: HostsFiles): Promise<readonly Table[]> {
  return Promise.all(paths.map((path) => readToml(path, files)))
}

async function readToml(path: string, files: HostsFiles): Promise<Table> {
  const text = await files.read(path)
  try {
    return parse(text ?? '')
  } catch (cause) {
    throw new Error(`${path} is not TOML`, { cause })
  }
}

function tableAt(table: Table, ...path: readonly string[]): Table {
  return path.reduce<Table>((found, key) => {
    const value = Object.hasOwn(found, key) ? found[key] : undefined
    return isTable(value) ? value : {}
  }, table)
}
