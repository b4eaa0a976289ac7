import { posix } from 'node:path'
import { lastWritten } from '../config/containerd-config.ts'
import { lineOf, tableAt } from '../config/toml.ts'
import { type Fields, isFields } from '../json.ts'
import { CERTS, hostsFolders } from './hosts-toml.ts'
import type { Found, Subject } from './subject.ts'

// What containerd refuses or ignores was read in its source, versions 1.7.35, 2.3.7 and 2.4.2.

export const V1_AND_2 = 'io.containerd.grpc.v1.cri'
export const V3 = 'io.containerd.cri.v1.images'
const V3_RUNTIME = 'io.containerd.cri.v1.runtime'
const RESTART = 'restart containerd'

/** Files that containerd cannot read: it does not start with one of them. */
export function configFiles({ containerd }: Subject): readonly Found[] {
  if (containerd === undefined) return []
  const consequence = 'containerd does not start with it, and from then on no pod does'
  return [
    ...containerd.files.flatMap(({ mistake, path }) =>
      mistake === undefined
        ? []
        : [
            {
              severity: 'error' as const,
              file: path,
              line: mistake.line,
              problem: `it is no TOML: ${mistake.reason}`,
              consequence,
              mend: 'correct the line; `containerd config dump` shows whether it can be read',
            },
          ],
    ),
    ...containerd.missing.map(({ file, line, value }) => ({
      severity: 'error' as const,
      file,
      line,
      problem: `it imports ${value}, which is not there`,
      consequence,
      mend: `make that file, or take it out of \`imports\`; a pattern (\`${posix.dirname(value)}/*.toml\`) may match nothing`,
    })),
  ]
}

/** Packages of Docker ship a config.toml that turns CRI off. */
export function criDisabled({ containerd }: Subject): readonly Found[] {
  const found = containerd?.files.find(({ root }) => {
    const { disabled_plugins: names } = root
    return Array.isArray(names) && names.some((name) => name === 'cri' || isCriPlugin(name))
  })
  if (found === undefined) return []
  return [
    {
      severity: 'error',
      file: found.path,
      line: lineOf(found.text, ['disabled_plugins']),
      problem: 'the CRI plugin is disabled',
      consequence: 'containerd serves no CRI: neither kubelet nor this service can use it',
      mend: `take it out of disabled_plugins, and ${RESTART}`,
    },
  ]
}

function isCriPlugin(name: unknown): boolean {
  return name === V1_AND_2 || name === V3 || name === V3_RUNTIME
}

/** Tables of another version of the file than it says to be of: containerd passes them over. */
export function configVersion({ containerd }: Subject): readonly Found[] {
  if (containerd === undefined) return []
  const { files, version } = containerd
  return files.flatMap((file): readonly Found[] => {
    const { path, root, text } = file
    const wrong = wrongTable(root, version)
    if (wrong === undefined) return []
    const isVersion3 = version >= 3
    return [
      {
        severity: 'error',
        file: path,
        line: lineOf(text, ['plugins', wrong]),
        problem: `plugins."${wrong}" in a file of version ${version}`,
        consequence:
          'containerd does not read this table: what it says of registries has no effect',
        mend: isVersion3
          ? `write plugins."${V3}" instead (\`containerd config migrate\` does), and ${RESTART}`
          : `write version = ${wrong === V3 ? 3 : 2} as the first line, and ${RESTART}`,
      },
    ]
  })
}

function wrongTable(root: Fields, version: number): string | undefined {
  const says = (plugin: string): boolean => {
    const table = tableAt(root, 'plugins', plugin)
    return ['registry', 'sandbox_image', 'pinned_images'].some((key) => key in table)
  }
  if (version >= 3) return says(V1_AND_2) ? V1_AND_2 : undefined
  if (says(V3)) return V3
  return version === 1 && says(V1_AND_2) ? V1_AND_2 : undefined
}

/** hosts.toml files that are not read, for want of a `config_path`, or with a colon in it. */
export async function configPath(subject: Subject): Promise<readonly Found[]> {
  const { containerd, containerdFile, machine } = subject
  // Of a file that is no TOML nothing is known.
  if (containerd === undefined || containerd.files.some(({ mistake }) => mistake)) return []
  const { configPath: written, version } = containerd
  const mend = `write config_path = "${CERTS}" in plugins."${version >= 3 ? V3 : V1_AND_2}".registry, and ${RESTART}`
  if (written?.value.includes(':')) {
    return [
      {
        severity: 'error',
        file: written.file,
        line: written.line,
        problem: `config_path = "${written.value}" has a colon in it`,
        consequence: 'containerd 2.2 and later read no hosts.toml then (containerd#12808)',
        mend: `name one folder: config_path = "${written.value.split(':')[0]}", and ${RESTART}`,
      },
    ]
  }
  const unread = (await hostsFolders(machine.files, CERTS)).length
  if (unread === 0 || written?.value === CERTS) return []
  const there = `${CERTS} has ${unread} hosts.toml`
  if (written === undefined) {
    const consequence =
      version >= 3
        ? 'containerd 2.2 and later then take a default of two folders, and read none of them (containerd#12808); 2.0 and 2.1 have no default'
        : 'containerd reads none of them'
    return [
      {
        severity: 'error',
        file: containerdFile,
        problem: `it has no config_path, and ${there}`,
        consequence,
        mend,
      },
    ]
  }
  return [
    {
      severity: 'warning',
      file: written.file,
      line: written.line,
      problem: `config_path is ${written.value}, and ${there}`,
      consequence: `containerd reads those below ${written.value} alone`,
      mend: `move them there, or ${mend}`,
    },
  ]
}

/** What containerd had before hosts.toml, beside it: its CRI plugin then refuses to load. */
export function mirrorsBeside({ containerd }: Subject): readonly Found[] {
  if (containerd?.configPath === undefined) return []
  const { configPath: path, files, mirrors } = containerd
  const found: Found[] = []
  const beside = (what: string, file: string, line: number): Found => ({
    severity: 'error',
    file,
    line,
    problem: `registry.${what} beside config_path (${path.file}:${path.line})`,
    consequence:
      'containerd loads no CRI with both, so that kubelet has no runtime after its next start',
    mend: `say it in hosts.toml files below ${path.value}, take the table out, and ${RESTART}`,
  })
  if (mirrors !== undefined) found.push(beside('mirrors', mirrors.file, mirrors.line))
  for (const { path: file, root, text } of files) {
    for (const plugin of [V3, V1_AND_2, 'cri']) {
      const configs = tableAt(root, 'plugins', plugin, 'registry', 'configs')
      const host = Object.keys(configs).find((name) => 'tls' in tableAt(configs, name))
      if (host === undefined) continue
      const line = lineOf(text, ['plugins', plugin, 'registry', 'configs', host, 'tls'])
      found.push(beside('configs with tls', file, line))
    }
  }
  return found
}

/** containerd 1 takes the whole table of a plugin from an import, also what that does not say. */
export function importReplaces({ containerd }: Subject): readonly Found[] {
  if (containerd === undefined || containerd.version >= 3) return []
  const [main, ...imports] = containerd.files
  if (main === undefined) return []
  return imports.flatMap(({ path, root, text }) =>
    Object.keys(tableAt(root, 'plugins')).flatMap((plugin): readonly Found[] => {
      const lost = lostKeys(tableAt(main.root, 'plugins', plugin), tableAt(root, 'plugins', plugin))
      if (lost.length === 0) return []
      return [
        {
          severity: 'warning',
          file: path,
          line: lineOf(text, ['plugins', plugin]),
          problem: `it writes plugins."${plugin}", which ${main.path} writes, too`,
          consequence: `containerd 1 then forgets what that says of ${lost.slice(0, 3).join(', ')}`,
          mend: `write the whole table in one of them, or move to version = 3 with containerd 2`,
        },
      ]
    }),
  )
}

function lostKeys(whole: Fields, instead: Fields, prefix = ''): readonly string[] {
  return Object.entries(whole).flatMap(([key, value]) => {
    const other = instead[key]
    if (isFields(value) && isFields(other)) return lostKeys(value, other, `${prefix}${key}.`)
    return other === undefined ? [`${prefix}${key}`] : []
  })
}

/** `version: v1alpha2` in front of a runtime which has v1 alone. */
export function criVersion({ containerd, configFile, loaded, machine }: Subject): readonly Found[] {
  if (loaded?.config.version !== 'v1alpha2' || containerd === undefined) return []
  if (containerd.version < 3 || configFile === undefined) return []
  return [
    {
      severity: 'error',
      file: configFile,
      problem: `version: v1alpha2, and ${containerd.files[0]?.path ?? machine.root.base} is of containerd 2, which has v1 alone`,
      consequence: 'the CRI socket does not open: every call would end with UNIMPLEMENTED',
      mend: 'take `version` out: which version the runtime has is found out',
    },
  ]
}

/** kubelet and containerd put containers into cgroups in two different ways. */
export async function cgroupDriver({ containerd, machine }: Subject): Promise<readonly Found[]> {
  if (containerd === undefined) return []
  const file = '/var/lib/kubelet/config.yaml'
  const text = (await machine.files.read(file).catch(() => undefined)) ?? ''
  const [, driver] = /^cgroupDriver:\s*["']?(\w+)/m.exec(text) ?? []
  const written = lastWritten(
    containerd.files,
    'containerd.runtimes.runc.options',
    'SystemdCgroup',
    (value) => typeof value === 'boolean',
    [V3_RUNTIME, V1_AND_2, 'cri'],
  )
  if (driver === undefined || written === undefined) return []
  if ((driver === 'systemd') === written.value) return []
  return [
    {
      severity: 'error',
      file: written.file,
      line: written.line,
      problem: `SystemdCgroup = ${written.value}, and kubelet has cgroupDriver: ${driver} (${file})`,
      consequence: 'pods are killed or started again and again under load',
      mend: `SystemdCgroup = ${driver === 'systemd'}, and ${RESTART} and kubelet`,
    },
  ]
}
