import { type Command, type HelpText, OF_REGISTRIES, WRONG_USE } from './command.ts'
import { COMMANDS, commandOf } from './command-table.ts'
import { EXIT } from './exit-codes.ts'
import { OPTIONS, type Option, type OptionName } from './options.ts'

/** Of the text of an option. */
const COLUMN = 24
const MAX_FLAG = COLUMN - 2

const OVERVIEW = `image-resolver: which image is this reference, exactly, and where can it be pulled from?

Usage:
  image-resolver [--config FILE]              run the service: CRI shim and HTTP API

Ask the registries, with or without a running service:
  image-resolver resolve REF ...              which image is it, and who has it?
  image-resolver registry status              how the configured registries do
  image-resolver registry images [NAME]       what they have
  image-resolver registry tags NAME REPO      the tags of a repository there
  image-resolver check [FILE ...]             can these images still be pulled, and where?

Ask the running service:
  image-resolver images                       the images of this node, with all their names
  image-resolver pull REF                     pull as kubelet does
  image-resolver rmi IMAGE ...                remove images, by any name or ID
  image-resolver stats                        what it has counted

Set up a node:
  image-resolver doctor                       what stands in the way on this node?
  image-resolver install                      put the service on this node, and lead kubelet to it
  image-resolver uninstall                    leave the node as it was before
  image-resolver status                       what is installed, what runs, where kubelet leads
  image-resolver config check                 print the effective configuration, or its mistakes
  image-resolver containerd-hosts             containerd's hosts.toml files, to pull through /v2/
  image-resolver adopt [--dry-run]            name what another shim left under mirrors' names

Pin what you deploy:
  image-resolver pin FILE ...                 write tags with the digests they point at
  image-resolver drift FILE ...               which pinned tags have moved since?

Without the network:
  image-resolver parse [REF ...]              take references apart

Options:
${option('config', `${OPTIONS.config.text}.\n--file means the same.`)}
${option('portoshim')}
${option('json', 'for scripts; most commands have it, and print what the HTTP API answers')}
  -h, --help              this text; after a command, its own
  -v, --version           the version

${exitCodes({ [EXIT.done]: 'done', [EXIT.failed]: 'failed in another way than those below', ...OF_REGISTRIES })}

Examples:
  image-resolver resolve nginx:latest
  curl 'http://127.0.0.1:9430/resolve?ref=nginx:latest'
`

/** Of the first words of commands of two. */
const GROUPS: Readonly<Record<string, HelpText>> = {
  registry: {
    usage: 'registry status|images|tags [options]',
    about: `The configured registries: how they do, and what they have.

  image-resolver registry status                    are they well, and how fast?
  image-resolver registry images [NAME]             the repositories of one, or of all
  image-resolver registry tags NAME REPOSITORY      the tags of a repository`,
    exitCodes: {
      [EXIT.done]: 'done',
      [EXIT.failed]: 'a registry is not well, or did not say',
      ...OF_REGISTRIES,
    },
    examples: ['registry status'],
  },
  config: {
    usage: 'config check [options]',
    about: `The configuration of the service.

  image-resolver config check                       is it usable, and what does it come to?`,
    exitCodes: { [EXIT.done]: 'usable', ...WRONG_USE },
    examples: ['config check'],
  },
}

/** @param command '' for the overview. @returns undefined when there is no such command or group */
export function helpFor(command: string): string | undefined {
  if (command === '') return OVERVIEW
  const known = commandOf(command)
  if (known !== undefined) return helpText(command, known, optionsOf(known))
  const group = Object.hasOwn(GROUPS, command) ? GROUPS[command] : undefined
  if (group === undefined) return undefined
  const members = Object.keys(COMMANDS).filter((name) => name.startsWith(`${command} `))
  const which = members.length === 1 ? 'it shows its' : 'one of them shows its'
  return helpText(command, group, `  --help after ${which} own.`)
}

/** `Usage: image-resolver resolve REF ... [options]` */
export function usageOf(command: string): string | undefined {
  return helpFor(command)?.split('\n')[0]
}

function helpText(command: string, text: HelpText, options: string): string {
  const { about, examples, exitCodes: codes, usage = `${command} [options]` } = text
  return `Usage: image-resolver ${usage}

${about}

Options:
${options}

${exitCodes(codes)}

Example${examples.length === 1 ? '' : 's'}:
${examples.map((each) => `  image-resolver ${each}`).join('\n')}
`
}

function optionsOf({ meanings = {}, options, values = {} }: Command): string {
  const shown = options.filter((name) => name !== 'file')
  return shown.map((name) => option(name, meanings[name], values[name])).join('\n')
}

function option(name: OptionName, text?: string, valueHere?: string): string {
  const known: Option = OPTIONS[name]
  const lines = (text ?? known.text ?? '').split('\n')
  const flag = `${known.short === undefined ? '    ' : `-${known.short}, `}--${name}`
  const value = known.type === 'string' ? known.value : ''
  const written = `${flag} ${valueHere ?? value}`.trimEnd()
  // What is too long for its column has the text begin below it.
  if (written.length > MAX_FLAG) lines.unshift('')
  return `  ${written.padEnd(COLUMN)}${lines.join(`\n${' '.repeat(COLUMN + 2)}`)}`
}

function exitCodes(codes: HelpText['exitCodes']): string {
  // Keys that are numbers come in their order.
  const lines = Object.entries(codes).map(([code, text]) => `  ${code}  ${text}`)
  return `Exit codes:\n${lines.join('\n')}`
}
