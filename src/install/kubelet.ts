import { fieldOf, itemsOf } from './kubelet-edits.ts'
import type { Root } from './root.ts'
import { readServiceUnit, type ServiceUnit, type Word } from './unit-file.ts'

const FLAGS = { images: 'image-service-endpoint', runtime: 'container-runtime-endpoint' } as const
const FIELDS = { images: 'imageServiceEndpoint', runtime: 'containerRuntimeEndpoint' } as const
type Endpoint = keyof typeof FLAGS

/** Where an endpoint is set. */
interface Setting {
  /** As it is written: `unix:///run/containerd/containerd.sock`. */
  readonly value: string
  readonly file: string
  readonly kind: 'flag' | 'field'
  /** Of a field, its name. */
  readonly field?: string
}

/** How this node's kubelet is configured. */
export interface Kubelet {
  readonly distribution: 'kubelet' | 'k3s' | 'rke2'
  /** The unit to restart. */
  readonly unit: string
  readonly images: Setting | undefined
  readonly runtime: Setting | undefined
}

const RANCHER_UNITS = [
  ['k3s', 'k3s.service'],
  ['k3s', 'k3s-agent.service'],
  ['rke2', 'rke2-server.service'],
  ['rke2', 'rke2-agent.service'],
] as const
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
  }
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

/** `unix:///run/x.sock`, `unix:/run/x.sock` or `/run/x.sock`. */
export function pathOf(endpoint: string): string {
  return endpoint.replace(/^unix:(?:\/\/)?/, '')
}
