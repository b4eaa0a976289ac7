import { COMMIT, VERSION } from '../../api/version.ts'
import { type ResolveError, toResolveError } from '../errors.ts'
import { COMMANDS, commandOf } from './command-table.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { helpFor, usageOf } from './help.ts'
import { didYouMean, type OptionName, readArguments, readLoosely, UsageError } from './options.ts'
import { visible } from './output.ts'

/** The first words of commands of two. */
const GROUPS: ReadonlySet<string> = new Set(
  Object.keys(COMMANDS).flatMap((name) => (name.includes(' ') ? [name.replace(/ .*/, '')] : [])),
)
/** Options, too, that are mistaken for commands. */
const KNOWN: readonly string[] = [
  ...Object.keys(COMMANDS),
  ...GROUPS,
  'help',
  '--help',
  '--version',
]

/** @returns the exit code, as in EXIT */
export async function run(args: readonly string[], context: CliContext): Promise<number> {
  try {
    return await runCommand(args, context)
  } catch (thrown) {
    const { json, words } = readLoosely(args)
    if (thrown instanceof UsageError) {
      const { message } = thrown
      const named = words[0] === 'help' ? words.slice(1) : words
      if (json) printJson(context, { errors: [{ code: 'REQUEST_INVALID', message, detail: {} }] })
      else context.stderr.write(usage(message, nameCommand(named).name))
      return EXIT.usage
    }
    const error = toResolveError(thrown)
    if (json) {
      const { failureBody } = await import('./answer-text.ts')
      printJson(context, failureBody(error, false))
    } else context.stderr.write(await failure(error))
    return exitCodeOf(error.code)
  }
}

function printJson({ stdout }: CliContext, body: object): void {
  stdout.write(`${JSON.stringify(body, null, 2)}\n`)
}

/** Names of files are in it, too; line ends are its own. */
function shown(message: string): string {
  return message.replace(/[^\n]+/g, visible)
}

async function failure(error: ResolveError): Promise<string> {
  if (error.attempts.length === 0) return `image-resolver: ${shown(error.message)}\n`
  return (await import('./answer-text.ts')).failureText(error, false)
}

async function runCommand(args: readonly string[], context: CliContext): Promise<number> {
  const { values, positionals } = readArguments(args)
  if (values.version) {
    return print(context, COMMIT === '' ? `${VERSION}\n` : `${VERSION} (${COMMIT})\n`)
  }
  const { name, words } = nameCommand(positionals)
  if (values.help) return help(context, positionals.length === 0 ? '' : name)
  if (positionals[0] === 'help') return help(context, words.join(' '))
  const command = commandOf(name)
  if (command === undefined) throw noCommand(name)
  const given = Object.keys(values) as OptionName[]
  const foreign = given.find((option) => !command.options.includes(option))
  if (foreign !== undefined) {
    throw new UsageError(`${name} has no option --${foreign}`)
  }
  const none = { min: 0, max: 0, problem: `${name} takes no words after it` }
  const { min, max, problem } = command.words ?? none
  if (words.length < min || words.length > max) throw new UsageError(problem)
  return await command.run(words, values, context)
}

/** Without a command the service is run, as image-cri-shim does. */
function nameCommand(positionals: readonly string[]): {
  readonly name: string
  readonly words: readonly string[]
} {
  const [first = 'serve', second] = positionals
  if (GROUPS.has(first) && second !== undefined) {
    return { name: `${first} ${second}`, words: positionals.slice(2) }
  }
  return { name: first, words: positionals.slice(1) }
}

function print(context: CliContext, text: string): 0 {
  context.stdout.write(text)
  return 0
}

function help(context: CliContext, command: string): number {
  const text = helpFor(command)
  if (text === undefined) throw noCommand(command)
  return print(context, text)
}

function noCommand(name: string): UsageError {
  return new UsageError(
    GROUPS.has(name)
      ? `${name} needs a word after it`
      : `there is no command ${name}${didYouMean(name, KNOWN)}`,
  )
}

/** What is wrong, how the command is written, and where to read more: a longer text would hide the first. */
function usage(problem: string, name: string): string {
  const [group = ''] = name.split(' ')
  const command = [name, group].find((each) => helpFor(each) !== undefined) ?? ''
  const usage = command === '' ? '' : `${usageOf(command)}\n`
  const more = ['image-resolver', ...(command === '' ? [] : [command]), '--help'].join(' ')
  return `image-resolver: ${visible(problem)}\n${usage}${more} says more\n`
}
