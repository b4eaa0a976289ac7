import type { Config } from '../config/config.ts'
import { isSameSocket } from '../config/values.ts'
import { ResolveError } from '../errors.ts'
import { accessOf, isSame, lookAt } from './files.ts'
import type { Journal } from './journal.ts'
import {
  type Endpoint,
  FIELDS,
  FLAGS,
  findKubelet,
  type Kubelet,
  type KubeletMode,
  leads,
} from './kubelet.ts'
import { MARK } from './program.ts'
import type { PlannedFile, Root, TextFile } from './root.ts'
import { readEnvironment, type Word } from './unit-syntax.ts'
import { isLarge, withValue } from './yaml-value.ts'

const HEAD = `${MARK}; image-resolver uninstall takes it away.\n`

/** What is known of earlier installations. */
export interface Earlier {
  /** kubelet's files as they were before. */
  readonly originals: readonly PlannedFile[]
  /** The service's sockets, of which kubelet may use each. */
  readonly sockets: readonly string[]
  readonly runtime: string | undefined
}

/**
 * The files that lead kubelet to a socket. What an earlier installation has written is taken back first, so that another
 * mode or place changes what it would have changed at first.
 *
 * @param socket path of the service's socket
 * @returns their new texts; none where it leads there already
 * @throws ResolveError UNSUPPORTED where that would end the runtime of k3s or rke2; CONFIG_INVALID for a
 * file that cannot be edited, and where another one wins
 */
export function leadKubelet(
  root: Root,
  mode: KubeletMode,
  socket: string,
  earlier: Earlier = { originals: [], sockets: [socket], runtime: undefined },
): readonly PlannedFile[] {
  const before = root.with(...earlier.originals)
  const base = mode === 'images' ? withoutRuntime(before, earlier) : before
  const kubelet = findKubelet(base)
  if (kubelet === undefined) return []
  const { distribution, runtime } = kubelet
  if (mode === 'all' && distribution !== 'kubelet' && runtime === undefined) {
    const why = `with container-runtime-endpoint ${distribution} does not start its own containerd`
    throw new ResolveError(
      'UNSUPPORTED',
      `${why}, so --kubelet all cannot be; use --kubelet images`,
    )
  }
  let planned = mode === 'all' ? withEndpoint(base, kubelet, 'runtime', socket) : base
  const { images } = kubelet
  // Without an endpoint of its own, that of images is that of the runtime.
  if (mode === 'images' || images !== undefined) {
    planned = withEndpoint(planned, findKubelet(planned) ?? kubelet, 'images', socket)
  }
  checkLed(planned, mode, socket)
  return planned.planned.filter(({ path, text }) => text !== root.text(path))
}

/** @returns what the lists of installations, one that did not end among them, say of kubelet */
export function earlierOf(
  root: Root,
  journal: Journal,
  node: { readonly config: Pick<Config, 'shim'>; readonly runtime: string | undefined },
): Earlier {
  const { about } = journal
  return {
    originals: originalsOf(root, journal),
    sockets: [...about.sockets, node.config.shim],
    runtime: node.runtime ?? about.runtime ?? undefined,
  }
}

/** kubelet's files as they were before the installation, but for what others have changed since. */
export function originalsOf(root: Root, { installed, pending }: Journal): readonly PlannedFile[] {
  const first = new Map(
    [...pending, ...(installed?.changes ?? [])].map((each) => [each.path, each]),
  )
  const last = new Map([...(installed?.changes ?? []), ...pending].map((each) => [each.path, each]))
  return [...first.values()].flatMap((change): readonly PlannedFile[] => {
    const { backup, before, part, path } = change
    const { after = null } = last.get(path) ?? {}
    if (part !== 'kubelet' || after?.kind === 'folder') return []
    // What others have changed since stays.
    if (!isSame(lookAt(root.inside(path)), after ?? undefined)) return []
    if (before === null) return [{ path, text: undefined }]
    const text = backup === undefined ? undefined : root.text(backup)
    return text === undefined ? [] : [{ path, text }]
  })
}

/** Where others have changed the file that leads every call to the service, by the endpoint alone. */
function withoutRuntime(root: Root, { runtime, sockets }: Earlier): Root {
  const kubelet = findKubelet(root)
  const setting = kubelet?.runtime
  if (kubelet === undefined || !sockets.some((socket) => leads(setting, socket))) return root
  if (runtime !== undefined && !sockets.some((socket) => isSameSocket(socket, runtime)))
    return withEndpoint(root, kubelet, 'runtime', runtime)
  const what = `${setting?.file}:${setting?.line} leads every call of kubelet to ${setting?.value}`
  const how = "set the runtime's own socket there by hand, or name it with --runtime-endpoint"
  throw new ResolveError('CONFIG_INVALID', `${what}, and that of the runtime is not known: ${how}`)
}

/** Of what has other characters nothing is certain in units, YAML and environments. */
function endpointOf(socket: string): string {
  if (/^[\w./@:+-]+$/.test(socket)) return `unix://${socket}`
  const what = 'has characters that the files of kubelet would need quotes for'
  throw new ResolveError('CONFIG_INVALID', `shim: ${socket} ${what}; name another one`)
}

/**
 * That kubelet leads to a socket, as its files are.
 *
 * @throws ResolveError CONFIG_INVALID with the file and the line that lead it elsewhere
 */
export function checkLed(root: Root, mode: KubeletMode, socket: string): void {
  const kubelet = findKubelet(root)
  if (kubelet === undefined) return
  const { images, runtime, decides } = kubelet
  const name =
    mode === 'all' && !leads(runtime, socket)
      ? 'runtime'
      : leads(images ?? runtime, socket)
        ? undefined
        : 'images'
  if (name === undefined) return
  const setting = kubelet[name]
  const place = setting ?? decides
  const where = place === undefined ? kubelet.place.file : `${place.file}:${place.line}`
  const what =
    setting === undefined
      ? `${where} counts, without --${FLAGS[name]}`
      : `${where} sets ${setting.field ?? `--${FLAGS[name]}`} to ${setting.value}, and counts`
  const how = `set it to ${endpointOf(socket)} there, or take that line away`
  throw new ResolveError('CONFIG_INVALID', `kubelet would not use ${socket}: ${what}; ${how}`)
}

/**
 * The files that lead kubelet from sockets back to the runtime's: for files that were changed by others
 * since, so that what they were before cannot be put back.
 *
 * @throws ResolveError CONFIG_INVALID for a file that cannot be edited
 */
export function leadKubeletBack(
  root: Root,
  sockets: readonly string[],
  runtimeSocket: string,
): readonly PlannedFile[] {
  let planned = root
  for (const name of ['images', 'runtime'] as const) {
    const kubelet = findKubelet(planned)
    const setting = kubelet?.[name]
    if (kubelet === undefined || !sockets.some((socket) => leads(setting, socket))) continue
    planned = withEndpoint(planned, kubelet, name, runtimeSocket)
  }
  return planned.planned
}

function withEndpoint(root: Root, kubelet: Kubelet, name: Endpoint, socket: string): Root {
  const setting = kubelet[name]
  if (leads(setting, socket)) return root
  const endpoint = endpointOf(socket)
  if (setting === undefined) return root.with(added(root, kubelet, name, endpoint))
  const { at, file, line, value } = setting
  const text = root.text(file) ?? ''
  const edited =
    'path' in at
      ? withValue(text, at.path, `${at.before}${endpoint}`)
      : withText(text, at, value, endpoint)
  if (edited !== undefined) return root.with({ path: file, text: edited })
  const what = `${setting.field ?? `--${FLAGS[name]}`} ${value}`
  throw byHand(`${file}:${line}: ${what}`, endpoint, 'path' in at ? text : '')
}

/** @param text YAML that it is in */
function byHand(what: string, endpoint: string, text: string): ResolveError {
  const how = isLarge(text)
    ? 'in a file that is larger than 64 KiB, which'
    : 'written in a way that'
  const why = `is ${how} is not edited here`
  return new ResolveError('CONFIG_INVALID', `${what} ${why}; set it to ${endpoint} by hand`)
}

/** @returns undefined where the value is not in one piece: with quotes, an end of line or a variable in it */
function withText(
  text: string,
  at: readonly number[],
  before: string,
  value: string,
): string | undefined {
  const [from = -1] = at
  const isWhole = from >= 0 && text.slice(from, from + at.length) === before
  return isWhole ? text.slice(0, from) + value + text.slice(from + at.length) : undefined
}

function added(root: Root, kubelet: Kubelet, name: Endpoint, endpoint: string): TextFile {
  const { end, place, wrapper } = kubelet
  const { file: path } = place
  const flag = `--${FLAGS[name]}=${endpoint}`
  const isFlag = /^(?:environment|unit|variable)$/.test(place.kind)
  if (end !== undefined && isFlag) {
    const what = `${end.file}:${end.line}: kubelet takes no flag behind the word --`
    throw new ResolveError('CONFIG_INVALID', `${what}; add ${flag} in front of it by hand`)
  }
  if (wrapper !== undefined && isFlag) {
    const what = `${wrapper.file}:${wrapper.line}: the unit starts ${wrapper.program}, not kubelet, which may never get a flag that is added here`
    const how = `see that it hands its arguments on (exec kubelet "$@"), add ${flag} there by hand (systemctl edit --full ${kubelet.unit}), and install again`
    throw new ResolveError('CONFIG_INVALID', `${what}: ${how}`)
  }
  const there = root.text(path)
  switch (place.kind) {
    case 'drop-in':
    case 'field': {
      const kind = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n'
      const text = withValue(there ?? `${HEAD}${kind}`, [FIELDS[name]], endpoint)
      if (text === undefined) throw byHand(`${path}: ${FIELDS[name]}`, endpoint, there ?? '')
      return { path, text }
    }
    case 'variable':
      return { path, text: withArgument(there ?? HEAD, path, place.variable, flag) }
    case 'environment': {
      const text = withWord(there ?? '', place, flag)
      if (text !== undefined) return { path, text }
      const where = `${kubelet.decides?.file}:${kubelet.decides?.line}`
      const what = `what it gives kubelet is written in a way that is not edited here`
      throw new ResolveError('CONFIG_INVALID', `${where}: ${what}; add ${flag} there by hand`)
    }
    case 'unit': {
      const { file, text } = place.command
      // The command may hold secrets: a user that may not read it there may not read its copy.
      const mode = accessOf(root.outside(file)).mode & 0o644
      const command = `${HEAD}[Service]\nExecStart=\nExecStart=${text} ${flag}\n`
      return { ...fresh(path, there, command), mode }
    }
    case 'arguments':
      return fresh(path, there, `${HEAD}kubelet-arg+:\n  - ${FLAGS[name]}=${endpoint}\n`)
  }
}

/** Of a file that install writes alone, nothing of others is lost. */
function fresh(path: string, there: string | undefined, text: string): TextFile {
  if (there === undefined || there === text) return { path, text }
  const what = 'is there already, and install would write something else into it'
  throw new ResolveError('CONFIG_INVALID', `${path} ${what}: move it away`)
}

/**
 * Adds a word to the value of an assignment of `Environment=`, which is quoted then.
 *
 * @returns undefined where that is not in one piece
 */
function withWord(
  text: string,
  { end, value }: { readonly end: number; readonly value: Word },
  word: string,
): string | undefined {
  if (/["']/.test(text[end] ?? '')) return `${text.slice(0, end)} ${word}${text.slice(end)}`
  const [from = end] = value.at
  if (text.slice(from, end) !== value.text) return undefined
  return `${text.slice(0, from)}"${value.text} ${word}"${text.slice(end)}`
}

/** Adds an argument to a variable of a file of an environment, which is made where it is not there. */
function withArgument(text: string, file: string, variable: string, argument: string): string {
  const known = readEnvironment(text, file).get(variable)
  if (known === undefined) {
    // A backslash at the end takes one end of line.
    const gap = /\\\r?\n?$/.test(text) ? '\n' : ''
    const ended = text === '' || text.endsWith('\n') ? text : `${text}\n`
    return `${ended}${gap}${variable}=${argument}\n`
  }
  const { end, value } = known
  const gap = value.text === '' || /\s$/.test(value.text) ? '' : ' '
  return `${text.slice(0, end)}${gap}${argument}${text.slice(end)}`
}
