import { COMMANDS } from '../../src/cli/command-table.ts'
import { helpFor } from '../../src/cli/help.ts'

// What shells complete, and the manual page, read off the help of each command.

const PROGRAM = 'image-resolver'

interface Option {
  readonly short?: string
  readonly long: string
  readonly takesValue: boolean
  /** Its first line. */
  readonly text: string
}

interface Command {
  readonly name: string
  readonly options: readonly Option[]
}

/** By name, as the program takes them. */
export function commands(): readonly Command[] {
  return Object.keys(COMMANDS).map((name) => ({ name, options: optionsOf(helpFor(name) ?? '') }))
}

function optionsOf(help: string): readonly Option[] {
  // The text is below what is long.
  const option = /^ {2}(?:-(\w), | {4})--([\w-]+)(?: ([A-Za-z/|]+))?(?:(?: {2,}|\n +)(.*))?$/gm
  const lines = help.matchAll(option)
  return [...lines].map(([, short, long = '', value, text = '']) => ({
    ...(short !== undefined && { short }),
    long,
    takesValue: value !== undefined,
    text,
  }))
}

function firstWords(): readonly string[] {
  return [...new Set(commands().map(({ name }) => name.replace(/ .*/, '')))]
}

/** The second words of commands of two, by their first. */
function groups(): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const { name } of commands()) {
    const [first = '', second] = name.split(' ')
    if (second !== undefined) found.set(first, [...(found.get(first) ?? []), second])
  }
  return found
}

function flagsOf({ options }: Command): string {
  return options
    .flatMap(({ short, long }) => [`--${long}`, ...(short === undefined ? [] : [`-${short}`])])
    .concat('--help')
    .join(' ')
}

/** For bash, and for zsh by way of its `bashcompinit`. */
export function bashCompletion(): string {
  const ofGroups = [...groups()].map(
    ([first, seconds]) => `    ${first}) known='${seconds.join(' ')}' ;;`,
  )
  const ofCommands = commands().map(
    (command) => `    '${command.name}' | '${command.name} '*) known='${flagsOf(command)}' ;;`,
  )
  return `# bash completion of ${PROGRAM}
_image_resolver() {
  local current=\${COMP_WORDS[COMP_CWORD]} words='' known='' index
  for ((index = 1; index < COMP_CWORD; index++)); do
    [[ \${COMP_WORDS[index]} == -* ]] || words+="\${words:+ }\${COMP_WORDS[index]}"
  done
  if [[ $current == -* ]]; then
    case "\${words:-serve}" in
${ofCommands.join('\n')}
    esac
  else
    case "$words" in
    '') known='${firstWords().join(' ')}' ;;
${ofGroups.join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$known" -- "$current"))
}
complete -o default -F _image_resolver ${PROGRAM}
`
}

export function zshCompletion(): string {
  return `#compdef ${PROGRAM}
autoload -U +X bashcompinit && bashcompinit
${bashCompletion()}`
}

export function fishCompletion(): string {
  const lines = [
    `complete -c ${PROGRAM} -n __fish_use_subcommand -f -a '${firstWords().join(' ')}'`,
  ]
  for (const [first, seconds] of groups()) {
    const condition = `__fish_seen_subcommand_from ${first}; and not __fish_seen_subcommand_from ${seconds.join(' ')}`
    lines.push(`complete -c ${PROGRAM} -n '${condition}' -f -a '${seconds.join(' ')}'`)
  }
  for (const { name, options } of commands()) {
    const condition = name
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ')
    for (const { short, long, takesValue, text } of options) {
      const flags = `${short === undefined ? '' : `-s ${short} `}-l ${long}${takesValue ? ' -r' : ''}`
      lines.push(`complete -c ${PROGRAM} -n '${condition}' ${flags} -d ${quoted(text)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}

/** image-resolver(1): the overview and the help of each command. */
export function manualPage(version: string): string {
  const sections = ['', ...Object.keys(COMMANDS)].map((name) => {
    const heading = name === '' ? 'DESCRIPTION' : name.toUpperCase()
    return `.SH "${heading}"\n.nf\n${roff(helpFor(name) ?? '')}\n.fi`
  })
  return `.TH IMAGE\\-RESOLVER 1 "" "${PROGRAM} ${version}"
.SH NAME
${PROGRAM} \\- which image is a reference, exactly, and where can it be pulled from?
.SH SYNOPSIS
.B ${PROGRAM}
[\\fICOMMAND\\fR] [\\fIOPTIONS\\fR]
${sections.join('\n')}
`
}

/** Text as it is: no line is a request, no hyphen is another sign. */
function roff(text: string): string {
  return text
    .trimEnd()
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replace(/^(?=[.'])/gm, '\\&')
}
