import { ResolveError } from '../errors.ts'
import { accessOf } from './files.ts'
import {
  type Endpoint,
  FIELDS,
  FLAGS,
  findKubelet,
  type Kubelet,
  type KubeletMode,
  leads,
  type Place,
} from './kubelet.ts'
import type { Root, TextFile } from './root.ts'
import { readEnvironment } from './unit-file.ts'
import { withValue } from './yaml-value.ts'

/** What is written behind a command that a shell runs is no argument of that command. */
const SHELL = /^[-@:+!|]*(?:\S*\/)?(?:ba|da|a|k|z)?sh\s+(?:-\S+\s+)*-[a-z]*c\s/
const HEAD = '# Written by image-resolver install; image-resolver uninstall takes it away.\n'

/**
 * The files that lead kubelet to a socket.
 *
 * @param socket path of the service's socket
 * @returns their new texts; none where it leads there already
 * @throws ResolveError UNSUPPORTED where that would end the runtime of k3s or rke2; CONFIG_INVALID for a
 * file that cannot be edited, and where another one wins
 */
export function leadKubelet(root: Root, mode: KubeletMode, socket: string): readonly TextFile[] {
  const kubelet = findKubelet(root)
  if (kubelet === undefined) return []
  const { distribution, runtime } = kubelet
  if (mode === 'all' && distribution !== 'kubelet' && runtime === undefined) {
    const why = `with container-runtime-endpoint ${distribution} does not start its own containerd`
    throw new ResolveError(
      'UNSUPPORTED',
      `${why}, so --kubelet all cannot be; use --kubelet images`,
    )
  }
  let planned = mode === 'all' ? withEndpoint(root, kubelet, 'runtime', socket) : root
  const { images } = kubelet
  // Without an endpoint of its own, that of images is that of the runtime.
  if (mode === 'images' || images !== undefined) {
    planned = withEndpoint(planned, findKubelet(planned) ?? kubelet, 'images', socket)
  }
  checkLed(planned, mode, socket)
  return planned.planned
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
): readonly TextFile[] {
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
  if (setting === undefined) return root.with(added(root, kubelet.place, name, endpoint))
  const { at, file, line, value } = setting
  const text = root.text(file) ?? ''
  const edited =
    'path' in at
      ? withValue(text, at.path, `${at.before}${endpoint}`)
      : withText(text, at, value, endpoint)
  if (edited !== undefined) return root.with({ path: file, text: edited })
  const what = `${setting.field ?? `--${FLAGS[name]}`} ${value}`
  throw byHand(`${file}:${line}: ${what}`, endpoint)
}

function byHand(what: string, endpoint: string): ResolveError {
  const why = 'is written in a way that is not edited here'
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

function added(root: Root, place: Place, name: Endpoint, endpoint: string): TextFile {
  const { file: path } = place
  const flag = `--${FLAGS[name]}=${endpoint}`
  const there = root.text(path)
  switch (place.kind) {
    case 'drop-in':
    case 'field': {
      const kind = 'apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n'
      const text = withValue(there ?? `${HEAD}${kind}`, [FIELDS[name]], endpoint)
      if (text === undefined) throw byHand(`${path}: ${FIELDS[name]}`, endpoint)
      return { path, text }
    }
    case 'variable':
      return { path, text: withArgument(there ?? '', path, place.variable, flag) }
    case 'unit': {
      const { file, text } = place.command
      if (SHELL.test(text)) throw byHand(`${file}: --${FLAGS[name]} of a shell's command`, endpoint)
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
