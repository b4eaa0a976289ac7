import { X509Certificate } from 'node:crypto'
import { posix } from 'node:path'
import { VERSION } from '../../api/version.ts'
import { lookAt, namedFileProblems } from '../config/files.ts'
import { findService } from '../service/running-service.ts'
import type { Machine, Process, Space } from './machine.ts'
import type { Found, Subject } from './subject.ts'

/** Mistakes in the configuration, and what in it does not count as written. */
export function configuration(subject: Subject): readonly Found[] {
  const { configFile, configProblems, loaded, machine } = subject
  const denied = [...machine.unseen].filter(([, { isDenied }]) => isDenied)
  const warnings = (loaded?.warnings ?? []).filter(
    (warning) => !denied.some(([path]) => warning.startsWith(`${path}: `)),
  )
  const file = configFile === undefined ? {} : { file: configFile }
  return [
    ...configProblems.map(
      ({ line, message, path }): Found => ({
        severity: 'error',
        ...file,
        ...(line > 0 && { line }),
        problem: path === '' ? message : `${path}: ${message}`,
        consequence: 'the service does not start with it; one that runs goes on with what it had',
        mend: 'correct it; `image-resolver config check` shows the whole',
      }),
    ),
    ...warnings.map((warning): Found => {
      const [, before = '', line, after = ''] = /^(.*?) \(line (\d+)\)(: .*)$/s.exec(warning) ?? []
      return {
        severity: 'warning',
        ...file,
        ...(line !== undefined && { line: Number(line) }),
        problem: line === undefined ? warning : `${before}${after}`,
        consequence: 'it is not used as it is written',
        mend: 'correct it; `image-resolver config check` shows what is used',
      }
    }),
  ]
}

/** Files that the configuration names: not there, or secrets that every user can read. */
export async function namedFiles({ loaded, machine }: Subject): Promise<readonly Found[]> {
  if (loaded === undefined) return []
  const problems = await namedFileProblems(loaded.config, async (path) =>
    (await machine.mode(path)) === undefined ? undefined : lookAt(machine.path(path)),
  )
  return problems.map(({ kind, message, path }): Found => {
    const isOpen = kind === 'readable by all'
    return {
      severity: isOpen ? 'warning' : 'error',
      file: path,
      problem: isOpen ? message.replace(/: chmod .*$/, '') : message,
      consequence: isOpen
        ? 'every user and every pod with this path mounted has the secret'
        : 'what needs it fails: the registry is asked without its credentials, or not at all',
      mend: isOpen ? `chmod o-r ${path}` : 'put it there, or correct the path',
    }
  })
}

const DAY_MS = 86_400_000
const NEAR_END_DAYS = 21

/** What is to be said of a certificate's dates. */
export function datesOf(
  { validFrom, validTo }: { readonly validFrom: string; readonly validTo: string },
  now: number,
): Pick<Found, 'severity' | 'problem'> | undefined {
  const [from, to] = [Date.parse(validFrom), Date.parse(validTo)]
  if (from > now) {
    return { severity: 'error', problem: `its certificate is not valid before ${isoDate(from)}` }
  }
  if (to <= now) return { severity: 'error', problem: `its certificate ended on ${isoDate(to)}` }
  if (to - now > NEAR_END_DAYS * DAY_MS) return undefined
  const days = Math.floor((to - now) / DAY_MS)
  return { severity: 'warning', problem: `its certificate ends on ${isoDate(to)}, in ${days} days` }
}

function isoDate(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10)
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g
const MAX_CERTIFICATES = 32

/** Certificates in files of the configuration. */
export async function certificateFiles({
  loaded,
  machine,
  now,
}: Subject): Promise<readonly Found[]> {
  if (loaded === undefined) return []
  const { http, registries } = loaded.config
  const named = new Map<string, string>()
  for (const { endpoint, name } of registries) {
    for (const path of endpoint.tls?.caFiles ?? []) named.set(path, `the authority of ${name}`)
    const { certFile } = endpoint.tls ?? {}
    if (certFile !== undefined) named.set(certFile, `the client certificate for ${name}`)
  }
  if (http.tls !== undefined) named.set(http.tls.cert, 'http.tls.cert')
  const found = await Promise.all(
    [...named].map(async ([file, what]): Promise<readonly Found[]> => {
      const text = (await machine.files.read(file).catch(() => undefined)) ?? ''
      const pems = [...text.matchAll(PEM)].slice(0, MAX_CERTIFICATES)
      // Of an authority's old and new certificate one that is valid is enough.
      const dates = pems.map(([pem]) => datesOfPem(pem, now()))
      const [first] = dates
      if (first === undefined || dates.includes(undefined)) return []
      return [
        {
          ...first,
          file,
          problem: `${what}: ${first.problem}`,
          consequence: 'connections that need it are refused from then on',
          mend: 'renew it; the file is read again when it changes',
        },
      ]
    }),
  )
  return found.flat()
}

function datesOfPem(pem: string, now: number) {
  try {
    return datesOf(new X509Certificate(pem), now)
  } catch {
    return undefined
  }
}

/** The running service and this program are of two versions. */
export async function versionSkew({
  loaded,
  machine,
  offline,
}: Subject): Promise<readonly Found[]> {
  if (loaded === undefined || offline || !machine.root.isThisMachine) return []
  const found = await findService(loaded.config.http)
    .then((service) => service.version())
    .catch(() => undefined)
  if (found === undefined || found.version === VERSION) return []
  return [
    {
      severity: 'warning',
      problem: `the service that runs is ${found.version}, this program ${VERSION}`,
      consequence: 'what was installed is not what answers',
      mend: 'systemctl restart image-resolver',
    },
  ]
}

/** The folder of what outlives a restart, and which users may write there. */
export async function stateFolder({ loaded, machine }: Subject): Promise<readonly Found[]> {
  if (loaded === undefined) return []
  const { image: folder } = loaded.config
  const found: Found[] = []
  const mode = await machine.mode(folder)
  if (mode !== undefined && (mode & WRITABLE_BY_OTHERS) !== 0) {
    found.push({
      severity: 'error',
      file: folder,
      problem: `other users may write there (mode ${(mode & 0o777).toString(8)})`,
      consequence: 'each of them can replace what says which image a name means',
      mend: `chmod go-w ${folder}`,
    })
  }
  return [...found, ...spaceOf(folder, await machine.space(folder), STATE_MIN_BYTES)]
}

const WRITABLE_BY_OTHERS = 0o022
const MiB = 1024 * 1024
const STATE_MIN_BYTES = 64 * MiB
/** A large image with its unpacked layers. */
const IMAGES_MIN_BYTES = 4 * 1024 * MiB
const MIN_FREE = 0.05

const STORES = {
  containerd: '/var/lib/containerd',
  k3s: '/var/lib/rancher',
  'CRI-O': '/var/lib/containers',
  'cri-dockerd': '/var/lib/docker',
} as const

/** The disk on which the runtime keeps images. */
export async function imageDisk({
  containerd,
  machine,
  runtime,
}: Subject): Promise<readonly Found[]> {
  if (runtime === undefined) return []
  const { root } = containerd?.files[0]?.root ?? {}
  const store = typeof root === 'string' ? root : STORES[runtime.kind]
  if (!machine.root.exists(store)) return []
  return spaceOf(store, await machine.space(store), IMAGES_MIN_BYTES)
}

function spaceOf(folder: string, space: Space | undefined, minBytes: number): readonly Found[] {
  if (space === undefined) return []
  const { free, freeBytes, freeInodes } = space
  const left = (what: string, share: number): Found => ({
    severity: share < 0.01 ? 'error' : 'warning',
    file: folder,
    problem: `${(share * 100).toFixed(1)} % of ${what} are left on its file system`,
    consequence: 'pulls fail and kubelet evicts pods when none is left',
    mend: 'make room: `crictl rmi --prune`, or a larger disk',
  })
  return [
    ...(free < MIN_FREE && freeBytes < minBytes ? [left('the space', free)] : []),
    ...(freeInodes < MIN_FREE ? [left('the inodes', freeInodes)] : []),
  ]
}

/** Of Node.js, before the program. */
const MAX_FLAGS = 16
const MIN_DESCRIPTORS = 4_096
/** Its heap, as it is started, and what stands around that. */
const MIN_MEMORY = 288 * MiB

/** What the process of the service may have open. */
export async function descriptors({ machine }: Subject): Promise<readonly Found[]> {
  const own = await ownProcess(machine)
  if (own === undefined) return []
  const file = `/proc/${own.pid}/limits`
  const text = (await machine.files.read(file).catch(() => '')) ?? ''
  const [, soft] = /^Max open files\s+(\d+)/m.exec(text) ?? []
  if (soft === undefined || Number(soft) >= MIN_DESCRIPTORS) return []
  return [
    {
      severity: 'warning',
      file,
      problem: `the service may have ${soft} descriptors open`,
      consequence: 'with many clients connections are dropped without a word',
      mend: 'set LimitNOFILE=65536 in its unit, and restart it',
    },
  ]
}

/** What the cgroup of the service lets it use. */
export async function memoryLimit({ machine }: Subject): Promise<readonly Found[]> {
  const own = await ownProcess(machine)
  if (own === undefined) return []
  const text = (await machine.files.read(`/proc/${own.pid}/cgroup`).catch(() => '')) ?? ''
  const [, path] = /^0::(\/.*)$/m.exec(text) ?? []
  if (path === undefined) return []
  const file = posix.join('/sys/fs/cgroup', path, 'memory.max')
  const limit = Number((await machine.files.read(file).catch(() => '')) || 'max')
  if (Number.isNaN(limit) || limit >= MIN_MEMORY) return []
  return [
    {
      severity: 'error',
      file,
      problem: `the cgroup of the service lets it have ${Math.floor(limit / MiB)} MiB`,
      consequence: 'it is killed when it has much to do, and each pull that runs then fails',
      mend: `set MemoryMax= of its unit to ${MIN_MEMORY / MiB}M or more, or make its heap smaller (NODE_OPTIONS=--max-old-space-size=)`,
    },
  ]
}

/** `node …/bin/image-resolver`, `serve` or nothing after it: other commands end soon. */
async function ownProcess(machine: Machine): Promise<Process | undefined> {
  return (await machine.processes()).find(({ args, pid }) => {
    const at = args.findIndex((arg) =>
      /(?:^|\/)image-resolver(?:\.m?js)?$|image-resolver\/.*main\.js$/.test(arg),
    )
    if (at < 0 || at > MAX_FLAGS || pid === process.pid) return false
    const words = args.slice(at + 1).filter((arg) => !arg.startsWith('-') && !arg.startsWith('/'))
    return words.length === 0 || words[0] === 'serve'
  })
}
