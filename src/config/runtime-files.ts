import { posix } from 'node:path'
import { type Fields, isFields } from '../json.ts'
import { isLoopbackHost } from '../registry/endpoint.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Config } from './config.ts'
import { readContainerdConfig } from './containerd-config.ts'
import { readConfigFile } from './files.ts'
import { diskHostsFiles, type HostsFiles } from './sources/hosts-dir.ts'
import { hostsFolder, parseHostsFile } from './sources/hosts-toml.ts'
import { matching, readTomlFile, tableAt } from './toml.ts'
import { isSameSocket } from './values.ts'

const CERTS = '/etc/containerd/certs.d'

/** What keeps the runtime from pulling from a registry that this service would have it pull from. */
export interface RuntimeProblem {
  readonly about: 'plain http' | 'config_path'
  /** The file to write. */
  readonly file: string
  readonly problem: string
  readonly mend: string
}

/**
 * Registries of plain http that the runtime would speak https to: it is the runtime that pulls, and
 * by itself it takes http for loopback alone. Looks into the files of containerd, CRI-O and dockerd
 * where they usually are, and only for the runtime that usually has the socket `cri`.
 *
 * @param files default: the file system
 * @returns none where the runtime's folder is not to be seen. Rejects for files that cannot be read
 */
export async function runtimeProblems(
  { cri, registries }: Pick<Config, 'cri' | 'registries'>,
  files: HostsFiles = diskHostsFiles(readConfigFile),
): Promise<readonly RuntimeProblem[]> {
  const plain = registries.filter(isPlainHttp)
  const look = RUNTIMES.find(({ socket }) => cri !== undefined && isSameSocket(socket, cri))
  if (plain.length === 0 || look === undefined) return []
  const hosts = [...new Set(plain.map(({ endpoint }) => endpoint.host))]
  return await look.problems(hosts, files)
}

/** As runtimeProblems. @returns one line each, with the file to write */
export async function runtimeWarnings(
  config: Pick<Config, 'cri' | 'registries'>,
  files?: HostsFiles,
): Promise<readonly string[]> {
  try {
    const problems = await runtimeProblems(config, files)
    return problems.map(({ mend, problem }) => `${problem}: ${mend}`)
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
  problems(hosts: readonly string[], files: HostsFiles): Promise<readonly RuntimeProblem[]>
}

const RUNTIMES: readonly Look[] = [
  { socket: '/run/containerd/containerd.sock', problems: containerdProblems },
  { socket: '/run/k3s/containerd/containerd.sock', problems: k3sProblems },
  { socket: '/run/crio/crio.sock', problems: crioProblems },
  { socket: '/run/cri-dockerd.sock', problems: dockerProblems },
]

async function containerdProblems(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly RuntimeProblem[]> {
  if ((await files.list('/etc/containerd')) === undefined) return []
  const config = await readContainerdConfig('/etc/containerd/config.toml', files)
  const broken = config.files.find(({ mistake }) => mistake !== undefined)
  if (broken !== undefined) throw new Error(`${broken.path} is not TOML`)
  const { value: configPath = '' } = config.configPath ?? {}
  const { value: mirrors = {} } = config.mirrors ?? {}
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
    ...(folders.length === 1 ? [] : [configPathProblem(configPath)]),
    ...missing.map((host) => {
      const file = `${folder}/${hostsFolder(host)}/hosts.toml`
      const write = `\`image-resolver containerd-hosts --direct --write ${folder}\` writes it`
      const mend = `${file} with [host."http://${host}"] tells it otherwise; ${write}`
      return overHttps('containerd', host, file, mend)
    }),
  ]
}

function overHttps(runtime: string, host: string, file: string, mend: string): RuntimeProblem {
  return { about: 'plain http', file, problem: `${runtime} would ask ${host} over https`, mend }
}

function configPathProblem(configPath: string): RuntimeProblem {
  const file = '/etc/containerd/config.toml'
  const now =
    configPath === ''
      ? 'has no config_path, so that no hosts.toml is read, or its default of two folders, with which containerd 2.2 and later read none (containerd#12808)'
      : `has the config_path ${configPath}: with a colon in it containerd 2.2 and later read no hosts.toml (containerd#12808)`
  const mend = `set config_path = "${CERTS}" and restart containerd`
  return { about: 'config_path', file, problem: `${file} ${now}`, mend }
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

function endpointsOf(mirrors: Fields, host: string): readonly unknown[] {
  const { endpoint } = tableAt(mirrors, host)
  return Array.isArray(endpoint) ? endpoint : []
}

/** k3s and rke2 write containerd's files themselves, at each start. */
async function k3sProblems(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly RuntimeProblem[]> {
  const folders = ['k3s', 'rke2'].map(
    (name) => `/var/lib/rancher/${name}/agent/etc/containerd/certs.d`,
  )
  const there = await Promise.all(folders.map((folder) => files.list(folder)))
  const warnings = await Promise.all(
    hosts.map(async (host) => {
      const answers = await Promise.all(folders.map((folder) => saysHttp(folder, host, files)))
      if (answers.includes(true)) return []
      const where = there[1] === undefined ? 'k3s' : 'rke2'
      const file = `/etc/rancher/${where}/registries.yaml`
      const mend = `under mirrors: in ${file} \`"${host}": {endpoint: ["http://${host}"]}\` tells it otherwise, from the next start of ${where}`
      return overHttps('containerd', host, file, mend)
    }),
  )
  return warnings.flat()
}

async function crioProblems(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly RuntimeProblem[]> {
  const folder = '/etc/containers'
  if ((await files.list(folder)) === undefined) return []
  const more = await matching(`${folder}/registries.conf.d/*.conf`, files)
  const paths = [`${folder}/registries.conf`, ...more]
  const all = await Promise.all(paths.map((path) => readRoot(path, files)))
  const insecure = all.flatMap((root) => {
    const { registries: old } = tableAt(root, 'registries', 'insecure')
    const tables = Array.isArray(root['registry']) ? root['registry'].filter(isFields) : []
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
    .map((host) => {
      const file = `${folder}/registries.conf.d/50-${host.replace(/[^\w.-]/g, '-')}.conf`
      const mend = `${file} with \`[[registry]]\`, \`location = "${host}"\` and \`insecure = true\` tells it otherwise, from the next reload of CRI-O`
      return overHttps('CRI-O', host, file, mend)
    })
}

/** `hub.corp:5000`, `hub.corp:5000/team` or `*.corp` of registries.conf. */
function coversHost(name: string, host: string): boolean {
  const [domain = ''] = name.split('/', 1)
  return domain.startsWith('*.') ? host.endsWith(domain.slice(1)) : domain === host
}

async function dockerProblems(
  hosts: readonly string[],
  files: HostsFiles,
): Promise<readonly RuntimeProblem[]> {
  if ((await files.list('/etc/docker')) === undefined) return []
  const text = (await files.read('/etc/docker/daemon.json')) ?? '{}'
  const root: unknown = JSON.parse(text)
  const list = isFields(root) ? root['insecure-registries'] : undefined
  const insecure = Array.isArray(list) ? list : []
  // A network as in 10.0.0.0/8 may be the one that the host is in.
  if (insecure.some((each) => typeof each === 'string' && each.includes('/'))) return []
  return hosts
    .filter((host) => !insecure.includes(host))
    .map((host) => {
      const file = '/etc/docker/daemon.json'
      const mend = `"${host}" among "insecure-registries" in ${file} tells it otherwise, from the next start of dockerd`
      return overHttps('dockerd', host, file, mend)
    })
}

async function readRoot(path: string, files: HostsFiles): Promise<Fields> {
  const file = await readTomlFile(path, files)
  if (file?.mistake !== undefined) throw new Error(`${path} is not TOML`)
  return file?.root ?? {}
}
