import type { RegistryEntry } from '../registry/entry.ts'
import { Proxies } from '../registry/transport/proxy.ts'
import type { Found, Subject } from './subject.ts'

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
      const text = (() => {
        try {
          return root.text(file) ?? ''
        } catch {
          return ''
        }
      })()
      for (const [index, line] of text.split('\n').entries()) {
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
