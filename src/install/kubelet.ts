import { posix } from 'node:path'
import { isSameSocket } from '../config/values.ts'
import { scalarOf } from '../yaml/node.ts'
import type { Root } from './root.ts'
import { endOfFlags, rancherConfig, wrapperIn } from './service-command.ts'
import {
  absolutePath,
  byHand,
  checkKnown,
  type Line,
  lineAt,
  readServiceUnit,
  type ServiceUnit,
  wantsFolders,
} from './unit-file.ts'
import type { Variable, Word } from './unit-syntax.ts'
import { type FileOfFields, readFields } from './yaml-value.ts'

/** Which of kubelet's endpoints lead to the service: that of images, or that of the whole runtime. */
export type KubeletMode = 'images' | 'all'

export const FLAGS = {
  images: 'image-service-endpoint',
  runtime: 'container-runtime-endpoint',
} as const
export const FIELDS = {
  images: 'imageServiceEndpoint',
  runtime: 'containerRuntimeEndpoint',
} as const
export type Endpoint = keyof typeof FLAGS

/** Where an endpoint is set. */
export interface Setting extends Line {
  /** As it is written: `unix:///run/containerd/containerd.sock`. */
  readonly value: string
  readonly kind: 'flag' | 'field'
  /** Of a field, its name. */
  readonly field?: string
  /**
   * The value in its file: offsets of its characters, or the path of a YAML value with what stands in that in front of
   * the endpoint.
   */
  readonly at:
    | readonly number[]
    | { readonly path: readonly (string | number)[]; readonly before: string }
}

/** Where an endpoint that is not set yet is to be written. */
export type Place =
  | { readonly kind: 'drop-in' | 'arguments' | 'field'; readonly file: string }
  | { readonly kind: 'variable'; readonly file: string; readonly variable: string }
  /** A variable that `Environment=` of a unit sets. */
  | {
      readonly kind: 'environment'
      readonly file: string
      readonly value: Word
      readonly end: number
    }
  | { readonly kind: 'unit'; readonly file: string; readonly command: Word }

/** How this node's kubelet is configured. */
export interface Kubelet {
  readonly distribution: 'kubelet' | 'k3s' | 'rke2'
  /** The unit to restart. */
  readonly unit: string
  readonly images: Setting | undefined
  readonly runtime: Setting | undefined
  readonly place: Place
  /** The program that the unit starts instead of kubelet, which may give it other arguments. */
  readonly wrapper: (Line & { readonly program: string }) | undefined
  /** A word `--` of the command: kubelet takes no flag behind it. */
  readonly end: Line | undefined
  /** What decides that an endpoint is not set, where it is in none of its files: the one that counts. */
  readonly decides: Line | undefined
}

const OWN_DROP_IN = '20-image-resolver.conf'
const UNITS = [
  ['k3s', 'k3s.service'],
  ['k3s', 'k3s-agent.service'],
  ['rke2', 'rke2-server.service'],
  ['rke2', 'rke2-agent.service'],
  ['kubelet', 'kubelet.service'],
] as const
const EXTRA_ARGS = 'KUBELET_EXTRA_ARGS'
/** The container runtime of k3s and rke2, which they start themselves. */
export const RANCHER_SOCKET = '/run/k3s/containerd/containerd.sock'

/**
 * Finds kubelet's unit and what sets its endpoints: flags, which count first, in the unit, its drop-ins or
 * the files of its environment; then fields of its drop-in folder and of its configuration file. k3s and
 * rke2 have files of their own.
 *
 * @returns undefined where there is no kubelet that systemd starts
 * @throws ResolveError CONFIG_INVALID for a file that cannot be read
 */
export function findKubelet(root: Root): Kubelet | undefined {
  return root.still(() => {
    // The tarball of rke2 brings the units of a server and of an agent to each node, which enables one of them.
    const wants = wantsFolders(root)
    const enabled = UNITS.filter(([, unit]) => wants.some((each) => root.exists(`${each}/${unit}`)))
    for (const [distribution, unit] of [...enabled, ...UNITS]) {
      const found = readServiceUnit(root, unit)
      if (found === undefined) continue
      checkRoot(root, found)
      return distribution === 'kubelet'
        ? plainKubelet(root, found)
        : rancherKubelet(root, distribution, unit, found)
    }
    return undefined
  })
}

/** @throws ResolveError CONFIG_INVALID for a unit with a root of its own, with flags that leave the endpoints to files there */
function checkRoot(root: Root, { ownRoot, words }: ServiceUnit): void {
  const flags = Object.values(FLAGS)
  if (ownRoot === undefined || flags.every((flag) => flagIn(root, words, flag))) return
  const what = `the unit has a root of its own, ${ownRoot.text}, and what kubelet reads there is not edited here`
  throw byHand(root, ownRoot, what, `set --${flags.join(' and --')} in its ExecStart=`)
}

function plainKubelet(root: Root, service: ServiceUnit): Kubelet {
  const wrapper = wrapperOf(root, service)
  const end = wrapper ? -1 : endOfFlags(service.words.map(({ text }) => text))
  const unit = end < 0 ? service : { ...service, words: service.words.slice(0, end) }
  const last = service.words[end]
  const pathIn = (flag: string): string | undefined => {
    const path = flagIn(root, unit.words, flag)?.value
    return path ? absolutePath(root, unit, path) : undefined
  }
  const config = pathIn('config')
  const folder = pathIn('config-dir')
  // Later files win.
  const files = [
    ...(config === undefined ? [] : [config]),
    ...(folder === undefined ? [] : dropInsBelow(root, folder)),
  ].map((file) => readFields(root, file))
  const setting = (endpoint: Endpoint): Setting | undefined =>
    flagIn(root, unit.words, FLAGS[endpoint]) ?? fieldIn(files, FIELDS[endpoint])
  const place = placeFor(unit, config, folder)
  const extra = unit.environment.get(EXTRA_ARGS)
  return {
    distribution: 'kubelet',
    unit: 'kubelet.service',
    images: setting('images'),
    runtime: setting('runtime'),
    place,
    wrapper,
    end: last && lineAt(root, last.file, last.at[0]),
    decides:
      place.kind === 'variable' || place.kind === 'environment'
        ? extra && lineAt(root, extra.value.file, extra.end)
        : lineAt(root, unit.command.file, unit.command.at[0]),
  }
}

function wrapperOf(root: Root, { command, words }: ServiceUnit): Kubelet['wrapper'] {
  const program = wrapperIn(
    root,
    words.map(({ text }) => text),
  )
  return program === undefined
    ? undefined
    : { program, ...lineAt(root, command.file, command.at[0]) }
}

/** kubelet reads folders in that one, too, in the order of names. */
function dropInsBelow(root: Root, folder: string): readonly string[] {
  return root.list(folder, '').flatMap((path) => {
    if (root.isFolder(path)) return dropInsBelow(root, path)
    return path.endsWith('.conf') ? [path] : []
  })
}

/** `kubeadm upgrade` writes its configuration file anew, and leaves a drop-in and KUBELET_EXTRA_ARGS alone. */
function placeFor(
  { command, environment: all, environmentFiles, variables }: ServiceUnit,
  config: string | undefined,
  folder: string | undefined,
): Place {
  if (folder !== undefined) return { kind: 'drop-in', file: posix.join(folder, OWN_DROP_IN) }
  const environment = environmentFiles.find((file) => posix.basename(file) === 'kubelet')
  if (environment !== undefined && variables.includes(EXTRA_ARGS)) {
    return placeOfExtra(all.get(EXTRA_ARGS), environment, environmentFiles)
  }
  if (config !== undefined) return { kind: 'field', file: config }
  return { kind: 'unit', file: `/etc/systemd/system/kubelet.service.d/${OWN_DROP_IN}`, command }
}

/** Set in a file that counts more, the variable would lose what it has: it gets more where it is set. */
function placeOfExtra(
  extra: Variable | undefined,
  environment: string,
  files: readonly string[],
): Place {
  const { end = 0, value } = extra ?? {}
  const isEarlier =
    value !== undefined &&
    value.text.trim() !== '' &&
    files.indexOf(value.file) < files.indexOf(environment)
  if (!isEarlier) return { kind: 'variable', file: environment, variable: EXTRA_ARGS }
  const { file } = value
  return files.includes(file)
    ? { kind: 'variable', file, variable: EXTRA_ARGS }
    : { kind: 'environment', file, value, end }
}

function rancherKubelet(
  root: Root,
  distribution: 'k3s' | 'rke2',
  unit: string,
  service: ServiceUnit,
): Kubelet {
  const { words } = service
  const named = rancherConfig(distribution, service)
  checkKnown(root, { ...service.command, text: named })
  const config = absolutePath(root, service, named)
  const names = [config, ...root.list(`${config}.d`, '.yaml', '.yml')]
  const files = names.map((file) => readFields(root, file))
  const setting = (endpoint: Endpoint): Setting | undefined =>
    flagIn(root, words, FLAGS[endpoint]) ??
    argumentIn(files, FLAGS[endpoint]) ??
    fieldIn(files, FLAGS[endpoint])
  const last = files.findLast(({ fields }) => fields.has(ARGUMENTS))
  return {
    distribution,
    unit,
    images: setting('images'),
    runtime: setting('runtime'),
    wrapper: undefined,
    end: undefined,
    place: { kind: 'arguments', file: `${config}.d/99-image-resolver.yaml` },
    decides: last && { file: last.file, line: last.fields.get(ARGUMENTS)?.line ?? 1 },
  }
}

const ARGUMENTS = 'kubelet-arg'

/** Among `kubelet-arg`, which a later file replaces and `kubelet-arg+` adds to (docs.k3s.io). */
function argumentIn(files: readonly FileOfFields[], flag: string): Setting | undefined {
  let found: Setting | undefined
  for (const { file, fields } of files) {
    for (const key of [ARGUMENTS, `${ARGUMENTS}+`]) {
      const value = fields.get(key)?.value
      if (value !== undefined && key === ARGUMENTS) found = undefined
      const items = value?.kind === 'list' ? value.items : [value]
      for (const [index, item] of items.entries()) {
        if (item?.kind !== 'text') continue
        const [, before = '', endpoint] =
          new RegExp(`^((?:--)?${flag}=)(.+)$`, 's').exec(item.text) ?? []
        if (endpoint === undefined) continue
        const path = value?.kind === 'list' ? [key, index] : [key]
        found = { value: endpoint, file, line: item.line, kind: 'flag', at: { path, before } }
      }
    }
  }
  return found
}

function fieldIn(files: readonly FileOfFields[], field: string): Setting | undefined {
  for (const { file, fields } of files.toReversed()) {
    const { line = 0, value: node } = fields.get(field) ?? {}
    const value = scalarOf(node)
    if (!value) continue
    const at = { path: [field], before: '' }
    return { value, file, line, kind: 'field', field, at }
  }
  return undefined
}

/** The last one counts. `--kubelet-arg=FLAG=VALUE` of k3s is one, too, in one word or in two. */
function flagIn(root: Root, words: readonly Word[], flag: string): Setting | undefined {
  const own = new RegExp(`^-{1,2}(?:kubelet-arg=(?:--)?)?${flag}(?:=(.*))?$`, 's')
  const argument = new RegExp(`^(?:--)?${flag}=(.*)$`, 's')
  for (let index = words.length - 1; index >= 0; index -= 1) {
    const word = words[index]
    const isArgument = /^-{1,2}kubelet-arg$/.test(words[index - 1]?.text ?? '')
    const match = word === undefined ? null : (isArgument ? argument : own).exec(word.text)
    if (word === undefined || match === null) continue
    const source = match[1] === undefined ? (words[index + 1] ?? word) : word
    const value = match[1] ?? words[index + 1]?.text ?? ''
    const at = source.at.slice(source.text.length - value.length)
    checkKnown(root, { text: value, file: source.file, at: at.length > 0 ? at : word.at })
    return { value, kind: 'flag', at, ...lineAt(root, source.file, at[0] ?? word.at[0]) }
  }
  return undefined
}

/** Which of kubelet's endpoints lead to a socket. */
export function leadingTo({ images, runtime }: Kubelet, socket: string): KubeletMode | undefined {
  if (leads(runtime, socket)) return 'all'
  return leads(images, socket) ? 'images' : undefined
}

export function leads(setting: Setting | undefined, socket: string): boolean {
  return setting !== undefined && isSameSocket(pathOf(setting.value), socket)
}

/** `unix:///run/x.sock`, `unix:/run/x.sock` or `/run/x.sock`. */
export function pathOf(endpoint: string): string {
  return endpoint.replace(/^unix:(?:\/\/)?/, '')
}
