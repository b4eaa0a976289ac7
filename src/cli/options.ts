import { parseArgs } from 'node:util'
import { nearestName } from '../config/diagnostics.ts'
import type { ConfigPlace } from '../config/load.ts'
import type { ResolverPlace } from '../service/open.ts'
import { visible } from './output.ts'

/** An option, for parseArgs and for the help of each command that takes it. */
export type Option = { readonly short?: string; readonly text?: string } & (
  | { readonly type: 'boolean' }
  | { readonly type: 'string'; readonly multiple?: true; readonly value: string }
)

/**
 * Every option of every command; which command takes it says COMMANDS. `value` is how its value is written, and `text`
 * what it means for every command: HelpText has both where one means something else.
 */
export const OPTIONS = {
  config: {
    type: 'string',
    short: 'f',
    value: 'FILE',
    text: `the service's configuration; default: /etc/image-resolver.yaml, else
/etc/image-cri-shim.yaml, else the built-in defaults`,
  },
  // image-cri-shim's name for it, which the help does not list.
  file: { type: 'string', value: 'FILE' },
  portoshim: {
    type: 'string',
    value: 'FILE',
    text: `a portoshim.yaml with registries that count too; default: the one that
the configuration names`,
  },
  json: { type: 'boolean' },
  platform: {
    type: 'string',
    value: 'OS/ARCH',
    text: "for example linux/arm64 or linux/arm/v7; default: this machine's",
  },
  explain: {
    type: 'boolean',
    text: `show every candidate: which requests were sent, what came back, how long
it took, and why one was chosen and the others passed over`,
  },
  all: {
    type: 'boolean',
    text: 'ask every registry, also after one answered, and show what each says',
  },
  node: { type: 'boolean', text: 'also say whether the container runtime here has the image' },
  quiet: { type: 'boolean', short: 'q' },
  format: { type: 'string', value: 'TEMPLATE' },
  check: { type: 'boolean', text: 'do not ask the service, only the registries' },
  fleet: {
    type: 'boolean',
    text: `the nodes that share the store of cache.shared and were seen in the last
hour: their version, and which of them are configured alike`,
  },
  limit: { type: 'string', value: 'N', text: 'at most so many; default: 10000' },
  'dry-run': { type: 'boolean', text: 'print what would be done' },
  domain: { type: 'string', value: 'DOMAIN' },
  root: {
    type: 'string',
    value: 'DIR',
    text: `the root of another system: its files alone, and no systemctl; default: /`,
  },
  write: { type: 'string', value: 'DIR' },
  server: {
    type: 'string',
    value: 'URL',
    text: `ask this running service, with its registries and credentials; default:
the registries, from here`,
  },
  'token-file': {
    type: 'string',
    value: 'FILE',
    text: 'holds the token of --server; default: none is sent',
  },
  force: { type: 'boolean', text: 'also replace files that another program wrote' },
  direct: { type: 'boolean', text: 'no file leads to this service' },
  diff: { type: 'boolean', text: 'print what would change, for patch and git apply' },
  lock: {
    type: 'string',
    value: 'FILE',
    text: `take digests from this file, and add to it what it has not: the next
run writes the same, whatever tags point at by then; default: none`,
  },
  offline: { type: 'boolean', text: 'ask no registry, only the lock file' },
  update: { type: 'boolean', text: 'move what is pinned on to what its tag points at now' },
  'log-format': {
    type: 'string',
    value: 'text|json',
    text: 'of the log; default: text on a terminal, else json',
  },
  kubelet: {
    type: 'string',
    value: 'images|all',
    text: `which calls of kubelet lead to the service: those of images, or every
one; default: images`,
  },
  'restart-kubelet': {
    type: 'boolean',
    text: 'restart kubelet where it has to be; default: say the command',
  },
  'runtime-endpoint': {
    type: 'string',
    value: 'SOCKET',
    text: `the runtime's socket; default: what kubelet uses, else containerd's,
CRI-O's or cri-dockerd's, the first found`,
  },
  chroot: { type: 'boolean', text: 'run systemctl in --root DIR, by chroot' },
  wait: {
    type: 'string',
    value: 'SECONDS',
    text: 'how long the service may take to be ready; default: 60',
  },
  watch: {
    type: 'string',
    value: 'SECONDS',
    text: `stay beside the service, and put the node back when it is not ready for
so long; SIGTERM ends it`,
  },
  secrets: {
    type: 'string',
    value: 'DIR',
    text: `files that go to /etc/image-resolver/secrets, as a Secret is mounted`,
  },
  'fail-on': {
    type: 'string',
    value: 'STATES',
    text: `the states that end it with 1, with commas between, or nothing; also
moved and platform; default: gone,denied,node-only,unknown,platform`,
  },
  plan: {
    type: 'string',
    value: 'TOOL',
    text: `print instead what copies the images that configured registries lack:
for skopeo, crane, regsync, hauler, zarf or oc-mirror; default: none`,
  },
  resume: {
    type: 'string',
    value: 'FILE',
    text: `keep what registries answer in this file until all have answered, and ask
for nothing again that it has of the last day; default: none`,
  },
  path: {
    type: 'string',
    multiple: true,
    value: 'PATH',
    text: `one more place of an image in YAML: spec.image, spec.*.image, **.image;
may be given several times; default: none`,
  },
  arg: {
    type: 'string',
    multiple: true,
    value: 'NAME',
    text: `a container's argument that is an image: --NAME=IMAGE or --NAME IMAGE;
may be given several times; default: none`,
  },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const satisfies Readonly<Record<string, Option>>

/** Its files are typed where they are: `--write` takes no folder. */
const OPTIONS_OF_PIN = { ...OPTIONS, write: { type: 'boolean' } } as const

export type OptionName = keyof typeof OPTIONS
export type Values = ReturnType<typeof readArguments>['values']

/** A mistake on the command line. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @throws UsageError for an option that no command has, or one without its value */
export function readArguments(args: readonly string[]) {
  const options = readLoosely(args).words[0] === 'pin' ? OPTIONS_OF_PIN : OPTIONS
  try {
    return parseArgs({ args: [...args], options, allowPositionals: true, strict: true })
  } catch (thrown) {
    const { code, message } = thrown as NodeJS.ErrnoException
    const unknown = code === UNKNOWN_OPTION ? /'(-[^']*)'/.exec(message)?.[1] : undefined
    const problem = unknown === undefined ? shortened(message) : noOption(unknown)
    throw new UsageError(problem, { cause: thrown })
  }
}

/** What can be read of arguments of which some are wrong; what follows an unknown option is a word. */
export function readLoosely(args: readonly string[]): {
  readonly words: readonly string[]
  readonly json: boolean
} {
  const { positionals: words, values } = parseArgs({
    args: [...args],
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
  })
  return { words, json: values['json'] === true }
}

const UNKNOWN_OPTION = 'ERR_PARSE_ARGS_UNKNOWN_OPTION'

function noOption(option: string): string {
  const known = Object.keys(OPTIONS).map((name) => `--${name}`)
  return `there is no option ${visible(option)}${didYouMean(option, known)}`
}

/** `Option '--limit <value>' argument missing`: the library's words, but for its advice. */
function shortened(message: string): string {
  const [first = ''] = message.split(/\.?\n|\. /)
  const missing = /^Option '(.*) <value>' argument missing$/.exec(first)?.[1]
  return visible(missing === undefined ? first : `${missing} needs a value after it`)
}

export function filesOf(values: Values): ConfigPlace {
  const { portoshim } = values
  return { file: fileOf(values), ...(portoshim === undefined ? {} : { portoshim }) }
}

/** As filesOf, and the service that is to be asked instead. @throws UsageError */
export function placeOf(values: Values): ResolverPlace {
  const { server, 'token-file': tokenFile } = values
  if (tokenFile !== undefined && server === undefined) {
    throw new UsageError('--token-file is for --server URL')
  }
  return {
    ...filesOf(values),
    ...(server === undefined ? {} : { server }),
    ...(tokenFile === undefined ? {} : { tokenFile }),
  }
}

export function fileOf(values: Values): string | undefined {
  return values.config ?? values.file
}

/** @throws UsageError where two ways to print are asked for */
export function onlyOne(values: Values, names: readonly OptionName[]): void {
  const [first, second] = names.filter((name) => values[name] !== undefined)
  if (second !== undefined) throw new UsageError(`--${first} and --${second} exclude each other`)
}

/**
 * `; did you mean registry status?`, or nothing where no name is near.
 *
 * @param known names of one word or of two; the second word alone means the two
 */
export function didYouMean(typed: string, known: readonly string[]): string {
  const near = lastWordIs(typed, known) ?? nearest(typed, known)
  return near === undefined ? '' : `; did you mean ${near}?`
}

function nearest(typed: string, known: readonly string[]): string | undefined {
  const [group, word] = typed.split(' ', 2)
  if (word === undefined) return nearestName(typed, known)
  const prefix = `${group} `
  const siblings = known.filter((name) => name.startsWith(prefix))
  // What two names have in common makes any two near.
  const near = nearestName(
    word,
    siblings.map((name) => name.slice(prefix.length)),
  )
  return near === undefined ? undefined : `${prefix}${near}`
}

function lastWordIs(typed: string, known: readonly string[]): string | undefined {
  return known.find((name) => name.endsWith(` ${typed}`))
}
