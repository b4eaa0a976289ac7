import type { RegistryEntry } from '../registry/entry.ts'
import { Proxies } from '../registry/transport/proxy.ts'
import { lineWith, textOrNothing } from './kubelet.ts'
import type { Network } from './network.ts'
import { datesOf } from './service.ts'
import type { Found, Subject } from './subject.ts'

const MAX_SKEW_MS = 60_000
const NEXT = 'the next registry is used in its place, where there is one'

/** Names of registries without an address. */
export async function names(subject: Subject, network: Network): Promise<readonly Found[]> {
  return (await network.probes()).flatMap(({ entry, unknownName }): readonly Found[] =>
    unknownName === undefined
      ? []
      : [
          at(subject, entry, {
            severity: 'error',
            problem: `no address is known of the name of ${entry.name} (${unknownName})`,
            consequence: NEXT,
            mend: 'correct the name, or add it to DNS or /etc/hosts; `getent hosts` looks it up',
          }),
        ],
  )
}

const IDENTITY_REFUSALS: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
}
const DATES = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])

/** Certificates of registries: of an authority that is not trusted, for another name, near their end. */
export async function certificates(subject: Subject, network: Network): Promise<readonly Found[]> {
  const { now } = subject
  return (await network.probes()).flatMap(({ certificate, entry, refused }): readonly Found[] => {
    if (entry.endpoint.tls?.insecureSkipVerify === true) return []
    const dates = certificate === undefined ? undefined : datesOf(certificate, now())
    const isAuthority = refused !== undefined && !DATES.has(refused)
    return [
      ...(dates === undefined
        ? []
        : [
            at(subject, entry, {
              ...dates,
              problem: `${entry.name}: ${dates.problem}`,
              consequence: `it is refused then, by containerd too; ${NEXT}`,
              mend: 'renew it at the registry; if its dates are right, correct the clock of this node',
            }),
          ]),
      ...(isAuthority
        ? [
            at(subject, entry, {
              severity: 'error',
              problem: `${entry.name}: ${IDENTITY_REFUSALS[refused] ?? `its authority is not trusted here (${refused})`}`,
              consequence: `no image is looked for there; ${NEXT}`,
              mend:
                refused in IDENTITY_REFUSALS
                  ? 'use a name that is in the certificate'
                  : 'set `ca` of that registry to the authority that signed its certificate, or NODE_EXTRA_CA_CERTS in the unit',
            }),
          ]
        : []),
    ]
  })
}

/** Registries that do not answer, apart from the reasons that other checks have. */
export async function reachable(subject: Subject, network: Network): Promise<readonly Found[]> {
  const [pings, probes] = await Promise.all([network.pings(), network.probes()])
  return pings.flatMap(({ entry, error }): readonly Found[] => {
    const probed = probes.find((each) => each.entry === entry)
    const isSaid = probed?.unknownName !== undefined || probed?.refused !== undefined
    if (error === undefined || isSaid || REFUSALS.has(error.code)) return []
    return [
      at(subject, entry, {
        severity: 'error',
        problem: error.message.includes(entry.endpoint.host)
          ? error.message
          : `${entry.name}: ${error.message}`,
        consequence: `each first pull waits for it; ${NEXT}`,
        mend: 'is it up, is its address right (scheme and port), does a firewall stand between?',
      }),
    ]
  })
}

const REFUSALS: ReadonlySet<string> = new Set(['UNAUTHORIZED', 'DENIED'])

/** Credentials that a registry does not accept, or that it wants and does not get. */
export async function credentials(subject: Subject, network: Network): Promise<readonly Found[]> {
  const [pings, probes] = await Promise.all([network.pings(), network.probes()])
  return pings.flatMap(({ entry, error, hasCredentials, status }): readonly Found[] => {
    const isRefused = hasCredentials && status === 401
    const isWanted =
      !hasCredentials && probes.some((each) => each.entry === entry && each.wantsPassword)
    if (!isRefused && !isWanted && !(error !== undefined && REFUSALS.has(error.code))) return []
    const why = error === undefined ? '' : `: ${error.message}`
    return [
      at(subject, entry, {
        severity: 'error',
        problem: hasCredentials
          ? `${entry.name} refuses the credentials that there are for it${why}`
          : `${entry.name} wants credentials, and there are none for it${why}`,
        consequence: `no image is found there; ${NEXT}`,
        mend: hasCredentials
          ? 'correct `auth` of its entry, or the file that the credentials are in'
          : 'give its entry `auth`, or `keychain` a file that has it',
      }),
    ]
  })
}

/** This node's clock against what registries say in `Date`. */
export async function clock(_subject: Subject, network: Network): Promise<readonly Found[]> {
  const probes = await network.probes()
  const off = probes.filter(({ skewMs = 0 }) => Math.abs(skewMs) > MAX_SKEW_MS)
  const known = probes.filter(({ skewMs }) => skewMs !== undefined)
  const [first] = off
  // One of several may have a wrong clock of its own.
  if (first?.skewMs === undefined || off.length * 2 <= known.length) return []
  const seconds = Math.round(Math.abs(first.skewMs) / 1_000)
  return [
    {
      severity: seconds > 300 ? 'error' : 'warning',
      problem: `the clock of this node is ${seconds} s ${first.skewMs > 0 ? 'behind' : 'before'} that of ${first.entry.name}`,
      consequence: 'certificates and tokens are taken for ended, or for not yet valid',
      mend: 'start chronyd or systemd-timesyncd; `timedatectl` shows what is wrong',
    },
  ]
}

/** The place of an entry: where its host is written. */
function at(subject: Subject, entry: RegistryEntry, found: Found): Found {
  const { configFile: file } = subject
  if (file === undefined || entry.source !== undefined) return found
  return { ...found, file, ...lineWith(subject, file, entry.endpoint.host) }
}

/** Registries of the company's own network that would be asked through a proxy. */
export async function proxies({
  configFile,
  loaded,
  machine,
  runtime,
}: Subject): Promise<readonly Found[]> {
  const internal = (loaded?.config.registries ?? []).filter(isInternal)
  if (loaded === undefined || internal.length === 0) return []
  const through = (settings: ConstructorParameters<typeof Proxies>[0]): readonly string[] => {
    try {
      const known = new Proxies(settings)
      return internal
        .filter(
          ({ endpoint: { host, scheme } }) =>
            known.of(new URL(`${scheme}://${host}`)) !== undefined,
        )
        .map(({ endpoint }) => endpoint.host)
    } catch {
      // A proxy that cannot be meant is the program's own to refuse.
      return []
    }
  }
  const found: Found[] = []
  const own = through(loaded.config.proxy)
  if (own.length > 0) {
    found.push({
      severity: 'warning',
      ...(configFile !== undefined && { file: configFile }),
      problem: `${own.join(', ')} would be asked through the proxy`,
      consequence: 'a proxy that leads outside does not know it: no image is found there',
      mend: `add it to proxy.no, or to NO_PROXY in the unit: ${own.map((host) => host.replace(/:\d+$/, '')).join(',')}`,
    })
  }
  for (const { file, line, settings } of await runtimeProxies(machine, runtime?.kind)) {
    const hosts = through(settings)
    if (hosts.length === 0) continue
    found.push({
      severity: 'warning',
      file,
      line,
      problem: `the runtime would pull from ${hosts.join(', ')} through its proxy`,
      consequence: 'it is the runtime that pulls: what is found there cannot be fetched',
      mend: `add it to NO_PROXY there (${hosts.map((host) => host.replace(/:\d+$/, '')).join(',')}), systemctl daemon-reload, and restart the runtime`,
    })
  }
  return found
}

const UNITS = {
  containerd: ['containerd'],
  k3s: ['k3s', 'k3s-agent', 'rke2-server', 'rke2-agent'],
  'CRI-O': ['crio'],
  'cri-dockerd': ['docker'],
} as const

/** What the units of the runtime say of proxies, by unit. */
async function runtimeProxies({ root }: Subject['machine'], kind: keyof typeof UNITS | undefined) {
  if (kind === undefined) return []
  return UNITS[kind].flatMap((unit) => {
    const files = [
      ...root.list(`/etc/systemd/system/${unit}.service.d`, '.conf'),
      `/etc/systemd/system/${unit}.service.env`,
      `/etc/default/${unit}`,
    ].filter((file) => root.exists(file))
    const settings: { http?: string; https?: string; no?: string } = {}
    let place: { readonly file: string; readonly line: number } | undefined
    for (const file of files) {
      for (const [index, line] of textOrNothing(root, file).split('\n').entries()) {
        if (/^\s*[#;]/.test(line)) continue
        const assigned = /\b(?:CONTAINERD_)?(HTTPS?|NO)_PROXY=("[^"]*"|'[^']*'|[^\s"']*)/gi
        for (const [, name = '', value = ''] of line.matchAll(assigned)) {
          settings[name.toLowerCase() as keyof typeof settings] = value.replace(/^["']|["']$/g, '')
          if (!/^no$/i.test(name)) place ??= { file, line: index + 1 }
        }
      }
    }
    return place === undefined ? [] : [{ ...place, settings }]
  })
}

/** Whether a host is one of the company's own, that no proxy outside can know. */
function isInternal({ endpoint }: RegistryEntry): boolean {
  const name = endpoint.host.replace(/:\d+$/, '').replace(/^\[|\]$/g, '')
  return (
    /^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|f[cd][0-9a-f]{2}:)/.test(name) ||
    !/[.:]/.test(name) ||
    /\.(?:local|internal|lan|corp|home|intranet|localdomain|hub|svc|arpa)$/.test(name)
  )
}
