import { posix } from 'node:path'
import { isSameSocket } from '../config/addresses.ts'
import { ResolveError } from '../errors.ts'
import { accessOf } from './files.ts'
import { fieldOf, itemsOf, withArgument, withField, withFlag } from './kubelet-edits.ts'
import type { Root } from './root.ts'
import { readServiceUnit, type ServiceUnit, type Word } from './unit-file.ts'

/** Which of kubelet's endpoints lead to the service: that of images, or that of the whole runtime. */
export type KubeletMode = 'images' | 'all'

const FLAGS = { images: 'image-service-endpoint', runtime: 'container-runtime-endpoint' } as const
const FIELDS = { images: 'imageServiceEndpoint', runtime: 'containerRuntimeEndpoint' } as const
type Endpoint = keyof typeof FLAGS

/** Where an endpoint is set. */
export interface Setting {
  /** As it is written: `unix:///run/containerd/containerd.sock`. */
  readonly value: string
  readonly file: string
  readonly kind: 'flag' | 'field'
  /** Of a field, its name. */
  readonly field?: string
}

/** Where an endpoint that is not set yet is to be written. */
type Place =
  | { readonly kind: 'drop-in' | 'arguments'; readonly file: string }
  | { readonly kind: 'field'; readonly file: string }
  | { readonly kind: 'variable'; readonly file: string; readonly variable: string }
  | {
      readonly kind: 'unit'
      readonly file: string
      readonly command: string
      readonly mode: number
    }

/** How this node's kubelet is configured. */
export interface Kubelet {
  readonly distribution: 'kubelet' | 'k3s' | 'rke2'
  /** The unit to restart. */
  readonly unit: string
  readonly images: Setting | undefined
  readonly runtime: Setting | undefined
  readonly place: Place
}

export interface TextFile {
  readonly path: string
  readonly text: string
  /** Of a new one, if it is not to be that of any. */
  readonly mode?: number
}

const OWN_DROP_IN = '20-image-resolver.conf'
const RANCHER_UNITS = [
  ['k3s', 'k3s.service'],
  ['k3s', 'k3s-agent.service'],
  ['rke2', 'rke2-server.service'],
  ['rke2', 'rke2-agent.service'],
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
  for (const [distribution, unit] of RANCHER_UNITS) {
    const found = readServiceUnit(root, unit)
    if (found !== undefined) return rancherKubelet(root, distribution, unit, found)
  }
  const unit = readServiceUnit(root, 'kubelet.service')
  return unit === undefined ? undefined : plainKubelet(root, unit)
}

function plainKubelet(root: Root, unit: ServiceUnit): Kubelet {
  const config = flagIn(unit.words, 'config')?.value
  const folder = flagIn(unit.words, 'config-dir')?.value
  // Later files win.
  const files = [
    ...(config === undefined ? [] : [config]),
    ...(folder === undefined ? [] : root.list(folder, '.conf')),
  ]
  const setting = (endpoint: Endpoint): Setting | undefined =>
    flagIn(unit.words, FLAGS[endpoint]) ?? fieldIn(root, files, FIELDS[endpoint])
  return {
    distribution: 'kubelet',
    unit: 'kubelet.service',
    images: setting('images'),
    runtime: setting('runtime'),
    place: placeFor(root, unit, config, folder),
  }
}

/** `kubeadm upgrade` writes its configuration file anew, and leaves a drop-in and KUBELET_EXTRA_ARGS alone. */
function placeFor(
  root: Root,
  unit: ServiceUnit,
  config: string | undefined,
  folder: string | undefined,
): Place {
  if (folder !== undefined) return { kind: 'drop-in', file: posix.join(folder, OWN_DROP_IN) }
  const environment = unit.environmentFiles.find((file) => posix.basename(file) === 'kubelet')
  if (environment !== undefined && unit.variables.includes(EXTRA_ARGS)) {
    return { kind: 'variable', file: environment, variable: EXTRA_ARGS }
  }
  if (config !== undefined) return { kind: 'field', file: config }
  const file = `/etc/systemd/system/kubelet.service.d/${OWN_DROP_IN}`
  // The command may hold secrets: a user that may not read it there may not read its copy.
  const mode = accessOf(root.outside(unit.commandFile)).mode & 0o644
  return { kind: 'unit', file, command: unit.command, mode }
}

function rancherKubelet(
  root: Root,
  distribution: 'k3s' | 'rke2',
  unit: string,
  { words }: ServiceUnit,
): Kubelet {
  const folder = `/etc/rancher/${distribution}`
  const files = [
    ...(root.exists(`${folder}/config.yaml`) ? [`${folder}/config.yaml`] : []),
    ...root.list(`${folder}/config.yaml.d`, '.yaml', '.yml'),
  ]
  const inArguments = (endpoint: Endpoint): Setting | undefined =>
    flagIn(words, FLAGS[endpoint]) ?? argumentIn(root, files, FLAGS[endpoint])
  const setting = (endpoint: Endpoint): Setting | undefined =>
    inArguments(endpoint) ?? fieldIn(root, files, FLAGS[endpoint])
  return {
    distribution,
    unit,
    images: setting('images'),
    runtime: setting('runtime'),
    place: { kind: 'arguments', file: `${folder}/config.yaml.d/99-image-resolver.yaml` },
  }
}

/** Among `kubelet-arg`, which a later file replaces and `kubelet-arg+` adds to (docs.k3s.io). */
function argumentIn(root: Root, files: readonly string[], flag: string): Setting | undefined {
  let found: Setting | undefined
  for (const file of files) {
    const text = root.text(file) ?? ''
    for (const key of ['kubelet-arg', 'kubelet-arg+']) {
      const items = itemsOf(text, key, file)
      if (items !== undefined && key === 'kubelet-arg') found = undefined
      for (const item of items ?? []) {
        const [, value] = new RegExp(`^(?:--)?${flag}=(.+)$`).exec(item) ?? []
        if (value !== undefined) found = { value, file, kind: 'flag' }
      }
    }
  }
  return found
}

function fieldIn(root: Root, files: readonly string[], field: string): Setting | undefined {
  for (const file of [...files].reverse()) {
    const value = fieldOf(root.text(file) ?? '', field, file)
    if (value !== undefined) return { value, file, kind: 'field', field }
  }
  return undefined
}

/** The last one counts. `--kubelet-arg=FLAG=VALUE` of k3s is one, too. */
function flagIn(words: readonly Word[], flag: string): Setting | undefined {
  const written = new RegExp(`^-{1,2}(?:kubelet-arg=)?${flag}(?:=(.*))?$`, 's')
  for (let index = words.length - 1; index >= 0; index -= 1) {
    const word = words[index]
    const match = word === undefined ? null : written.exec(word.text)
    if (word === undefined || match === null) continue
    const value = match[1] ?? words[index + 1]?.text ?? ''
    return { value, file: word.file, kind: 'flag' }
  }
  return undefined
}

/** Which of kubelet's endpoints lead to a socket. */
export function leadingTo({ images, runtime }: Kubelet, socket: string): KubeletMode | undefined {
  const leads = (setting: Setting | undefined): boolean =>
    setting !== undefined && isSameSocket(pathOf(setting.value), socket)
  if (leads(runtime)) return 'all'
  return leads(images) ? 'images' : undefined
}

/** `unix:///run/x.sock`, `unix:/run/x.sock` or `/run/x.sock`. */
export function pathOf(endpoint: string): string {
  return endpoint.replace(/^unix:(?:\/\/)?/, '')
}

/**
 * The files that lead kubelet to a socket.
 *
 * @param socket path of the service's socket
 * @returns their new texts; none where it leads there already
 * @throws ResolveError UNSUPPORTED where that would end the runtime of k3s or rke2; CONFIG_INVALID for a
 * file that cannot be edited
 */
export function leadKubelet(
  root: Root,
  kubelet: Kubelet,
  mode: KubeletMode,
  socket: string,
): readonly TextFile[] {
  const { distribution, images, runtime } = kubelet
  if (mode === 'all' && distribution !== 'kubelet' && runtime === undefined) {
    const why = `with container-runtime-endpoint ${distribution} does not start its own containerd`
    throw new ResolveError(
      'UNSUPPORTED',
      `${why}, so --kubelet all cannot be; use --kubelet images`,
    )
  }
  const endpoint = `unix://${socket}`
  const texts = new Map<string, string>()
  const read = (file: string): string => texts.get(file) ?? root.text(file) ?? ''
  const lead = (name: Endpoint, setting: Setting | undefined): void => {
    if (setting !== undefined && isSameSocket(pathOf(setting.value), socket)) return
    const { file } = setting ?? kubelet.place
    const text = read(file)
    texts.set(
      file,
      setting === undefined
        ? written(kubelet.place, text, name, endpoint)
        : changed(setting, text, name, endpoint),
    )
  }
  const follows = images === undefined || isSameSocket(pathOf(images.value), socket)
  if (mode === 'all') lead('runtime', runtime)
  // Without an endpoint of its own, that of images is that of the runtime.
  if (mode === 'images' || !follows) lead('images', images)
  const { place } = kubelet
  return [...texts].map(([path, text]) => {
    const isCopy = place.kind === 'unit' && place.file === path
    return { path, text, ...(isCopy ? { mode: place.mode } : {}) }
  })
}

/**
 * The files that lead kubelet from a socket back to the runtime's: for files that were changed by others
 * since, so that what they were before cannot be put back.
 */
export function leadKubeletBack(
  root: Root,
  { images, runtime }: Kubelet,
  socket: string,
  runtimeSocket: string,
): readonly TextFile[] {
  const texts = new Map<string, string>()
  for (const [name, setting] of [
    ['images', images],
    ['runtime', runtime],
  ] as const) {
    if (setting === undefined || !isSameSocket(pathOf(setting.value), socket)) continue
    const text = texts.get(setting.file) ?? root.text(setting.file) ?? ''
    texts.set(setting.file, changed(setting, text, name, `unix://${runtimeSocket}`))
  }
  return [...texts].map(([path, text]) => ({ path, text }))
}

function changed(setting: Setting, text: string, name: Endpoint, endpoint: string): string {
  const { field, file, value } = setting
  if (field !== undefined) return withField(text, field, endpoint, file)
  const after = withFlag(text, FLAGS[name], value, endpoint)
  if (after !== text) return after
  const what = `--${FLAGS[name]} ${value}`
  throw new ResolveError('CONFIG_INVALID', `${file}: ${what} is not found there; set it by hand`)
}

function written(place: Place, text: string, name: Endpoint, endpoint: string): string {
  const flag = `--${FLAGS[name]}=${endpoint}`
  const head = '# Written by image-resolver install; image-resolver uninstall takes it away.\n'
  switch (place.kind) {
    case 'drop-in': {
      const kind = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n'
      return withField(text === '' ? `${head}${kind}` : text, FIELDS[name], endpoint, place.file)
    }
    case 'field':
      return withField(text, FIELDS[name], endpoint, place.file)
    case 'variable':
      return withArgument(text, place.variable, flag)
    case 'unit':
      return `${head}[Service]\nExecStart=\nExecStart=${place.command} ${flag}\n`
    case 'arguments':
      return `${head}kubelet-arg+:\n  - ${FLAGS[name]}=${endpoint}\n`
  }
}
