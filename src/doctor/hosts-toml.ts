import { posix } from 'node:path'
import { runtimeProblems } from '../config/runtime-files.ts'
import { readHostsDir } from '../config/sources/hosts-dir.ts'
import {
  type HostsFile,
  hostsFolder,
  isOwnHosts,
  parseHostsFile,
} from '../config/sources/hosts-toml.ts'
import { lineOf } from '../config/toml.ts'
import { ResolveError } from '../errors.ts'
import type { EndpointTls } from '../registry/endpoint.ts'
import { type Found, reasonOf, type Subject } from './subject.ts'

export const CERTS = '/etc/containerd/certs.d'
const MAX_FOLDERS = 256

/** Mistakes in hosts.toml files; containerd passes such a file over, and asks the registry itself. */
export async function hostsFiles(subject: Subject): Promise<readonly Found[]> {
  const { containerd, loaded, machine } = subject
  const folder = folderOf(subject)
  if (containerd === undefined || (await machine.files.list(folder)) === undefined) return []
  const { broken, warnings } = await readHostsDir(folder, machine.files)
  const said = await Promise.all(
    warnings.map(async (warning): Promise<Found> => {
      const [, file = folder, message = warning] = /^(\/.*?): (.*)$/s.exec(warning) ?? []
      const line = lineIn((await machine.files.read(file).catch(() => '')) ?? '', message)
      const isBroken = broken.includes(warning)
      return {
        severity: isBroken ? 'error' : 'warning',
        file,
        ...(line !== undefined && { line }),
        problem: message,
        consequence: isBroken
          ? 'containerd passes the whole file over, and asks the registry of that name directly'
          : 'the mirror may not be used as it was meant',
        mend: 'correct it; containerd reads the file at the next pull, without a restart',
      }
    }),
  )
  const read = await Promise.all(
    (await hostsFolders(machine.files, folder)).map(async ({ path, text }) => {
      const file = posix.join(path, 'hosts.toml')
      if (isOwnHosts(text)) return ownHosts(file, loaded?.config.mirror.enabled)
      const parsed = await parseHostsFile(text, path).catch(() => undefined)
      return parsed === undefined ? [] : missingFiles(parsed, file, text, machine.mode)
    }),
  )
  return [...said, ...read.flat()]
}

function ownHosts(file: string, isServed: boolean | undefined): readonly Found[] {
  if (isServed !== false) return []
  return [
    {
      severity: 'error',
      file,
      line: 1,
      problem:
        'it leads to /v2/ of this service, which is not served: `mirror.enabled` is not true',
      consequence: 'containerd asks here first, is refused, and then asks the registry itself',
      mend: 'set mirror: {enabled: true} and restart image-resolver, or remove the file',
    },
  ]
}

async function missingFiles(
  { hosts, server }: HostsFile,
  file: string,
  text: string,
  mode: (path: string) => Promise<number | undefined>,
): Promise<readonly Found[]> {
  const named = [...hosts, server].flatMap(({ tls }) => filesOf(tls))
  const found = await Promise.all(
    [...new Set(named)].map(async (path): Promise<readonly Found[]> => {
      if ((await mode(path)) !== undefined) return []
      const line = text.split('\n').findIndex((each) => each.includes(posix.basename(path)))
      return [
        {
          severity: 'error',
          file,
          line: line + 1,
          problem: `it names ${path}, which is not there`,
          consequence: 'each pull by this file fails in containerd',
          mend: 'put the certificate there, or take the line out',
        },
      ]
    }),
  )
  return found.flat()
}

function filesOf({ caFiles = [], certFile, keyFile }: EndpointTls = {}): readonly string[] {
  return [...caFiles, ...[certFile, keyFile].filter((path) => path !== undefined)]
}

/** Where a mistake of a hosts.toml is: `line 3: …`, or the path of a field. */
function lineIn(text: string, message: string): number | undefined {
  const [, line] = /^line (\d+): /.exec(message) ?? []
  if (line !== undefined) return Number(line)
  const [path] = /^(?:[\w-]+|"[^"]*")(?:\.(?:[\w-]+|"[^"]*"))*(?=: )/.exec(message) ?? []
  if (path === undefined || text === '') return undefined
  const parts = [...path.matchAll(/"([^"]*)"|([\w-]+)/g)]
  return lineOf(
    text,
    parts.map(([, quoted, bare]) => quoted ?? bare ?? ''),
  )
}

/** The first folder of `config_path`, or the usual one. */
function folderOf({ containerd, containerdFile, runtime }: Subject): string {
  const [written = ''] = containerd?.configPath?.value.split(':') ?? []
  if (written !== '') return written
  return runtime?.kind === 'k3s' ? posix.join(posix.dirname(containerdFile), 'certs.d') : CERTS
}

/** The folders that have a hosts.toml. Never rejects. */
export async function hostsFolders(files: Subject['machine']['files'], folder: string) {
  const names = (await files.list(folder).catch(() => undefined)) ?? []
  const found = await Promise.all(
    names.slice(0, MAX_FOLDERS).map(async (name) => {
      const path = posix.join(folder, name)
      const text = await files.read(posix.join(path, 'hosts.toml')).catch(() => undefined)
      return text === undefined ? [] : [{ path, text }]
    }),
  )
  return found.flat()
}

/** Registries of plain http which the runtime would ask by https: containerd, CRI-O and dockerd. */
export async function plainHttp({ loaded, machine, runtime }: Subject): Promise<readonly Found[]> {
  if (loaded === undefined || runtime === undefined) return []
  const { registries } = loaded.config
  const about = { cri: runtime.socket, registries }
  // Of files that are no TOML there is a finding already.
  const problems = await runtimeProblems(about, machine.files).catch(() => [])
  return problems
    .filter((each) => each.about === 'plain http')
    .map(({ file, mend, problem }) => ({
      severity: 'error',
      file,
      problem,
      consequence:
        'pulls from it fail with `server gave HTTP response to HTTPS client`, and the next registry is used',
      mend,
    }))
}

const SYSTEM_AUTHORITIES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
]

/** Registries with an authority of their own, which this service knows and containerd does not. */
export async function runtimeAuthority(subject: Subject): Promise<readonly Found[]> {
  const { containerd, loaded, machine } = subject
  if (containerd === undefined || loaded === undefined) return []
  const folder = folderOf(subject)
  const system = (
    await Promise.all(
      SYSTEM_AUTHORITIES.map((file) => machine.files.read(file).catch(() => undefined)),
    )
  ).join('\n')
  const found = await Promise.all(
    loaded.config.registries.map(async ({ endpoint, name, source }): Promise<readonly Found[]> => {
      const { caFiles = [], insecureSkipVerify = false } = endpoint.tls ?? {}
      const isPrivate = caFiles.length > 0 || insecureSkipVerify
      if (!isPrivate || source === 'hostsDir' || endpoint.scheme === 'http') return []
      const texts = await Promise.all(
        caFiles.map((file) => machine.files.read(file).catch(() => undefined)),
      )
      const known = texts.filter((text) => text !== undefined)
      // A file that is not there is a finding of its own.
      const isPlain = known.length === 0 || known.some((text) => system.includes(bodyOf(text)))
      if (!insecureSkipVerify && isPlain) return []
      const host = await hostsOf(folder, endpoint.host, machine.files)
      const rules = host === undefined ? [] : [...host.hosts, host.server]
      if (rules.some(({ tls }) => tls?.caFiles !== undefined || tls?.insecureSkipVerify)) return []
      const file = posix.join(folder, hostsFolder(endpoint.host), 'hosts.toml')
      return [
        {
          severity: 'error',
          file,
          problem: `containerd does not know the ${insecureSkipVerify ? 'certificate' : 'authority'} of ${name}`,
          consequence:
            'pulls from it fail with `certificate signed by unknown authority`, and the next registry is used',
          mend: `\`image-resolver containerd-hosts --direct --write ${folder}\` writes it`,
        },
      ]
    }),
  )
  return found.flat()
}

function bodyOf(pem: string): string {
  const [, body = '\0'] = /-----BEGIN CERTIFICATE-----\s*([^-]+?)\s*-----END/.exec(pem) ?? []
  return body
}

async function hostsOf(
  folder: string,
  host: string,
  files: Subject['machine']['files'],
): Promise<HostsFile | undefined> {
  for (const name of [hostsFolder(host), host, '_default']) {
    const path = posix.join(folder, name)
    const text = await files.read(posix.join(path, 'hosts.toml')).catch(() => undefined)
    if (text === undefined) continue
    try {
      return await parseHostsFile(text, path)
    } catch (thrown) {
      if (thrown instanceof ResolveError) continue
      throw new Error(reasonOf(thrown), { cause: thrown })
    }
  }
  return undefined
}
