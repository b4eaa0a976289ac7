import { VERSION } from '../../api/version.ts'
import { type ResolveError, toResolveError } from '../errors.ts'
import { COMMANDS } from './commands.ts'
import type { CliContext } from './context.ts'
import { EXIT, exitCodeOf } from './exit-codes.ts'
import { helpFor, usageOf } from './help.ts'
import { didYouMean, type OptionName, readArguments, UsageError, wordsOf } from './options.ts'
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
    if (thrown instanceof UsageError) {
      return usage(context, thrown.message, nameCommand(wordsOf(args)).name)
    }
    const error = toResolveError(thrown)
    if (isAskedForJson(args)) {
      const { failureBody } = await import('./answer-text.ts')
      print(context, `${JSON.stringify(failureBody(error, false), null, 2)}\n`)
    } else context.stderr.write(await failure(error))
    return exitCodeOf(error.code)
  }
}

/** What is no failure of the command line was read before. */
function isAskedForJson(args: readonly string[]): boolean {
  return readArguments(args).values.json === true
}

async function failure(error: ResolveError): Promise<string> {
  if (error.attempts.length === 0) return `image-resolver: ${error.message}\n`
  return (await import('./answer-text.ts')).failureText(error, false)
}

async function runCommand(args: readonly string[], context: CliContext): Promise<number> {
  const { values, positionals } = readArguments(args)
  if (values.version) return print(context, `${VERSION}\n`)
  const { name, words } = nameCommand(positionals)
  if (values.help) return help(context, positionals.length === 0 ? '' : name)
  if (positionals[0] === 'help') return help(context, words.join(' '))
  const command = COMMANDS[name]
  if (command === undefined) return noCommand(context, name)
  const given = Object.keys(values) as OptionName[]
  const foreign = given.find((option) => !command.options.includes(option))
  if (foreign !== undefined) {
    throw new UsageError(`${name} has no option --${foreign}`)
  }
  const { min, max, problem } = command.words
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
  return text === undefined ? noCommand(context, command) : print(context, text)
}

function noCommand(context: CliContext, name: string): number {
  const problem = GROUPS.has(name)
    ? `${name} needs a word after it`
    : `there is no command ${visible(name)}${didYouMean(name, KNOWN)}`
  return usage(context, problem, name)
}

/** What is wrong, how it is written, and where more stands: no more, or nobody sees what is wrong. */
function usage(context: CliContext, problem: string, name: string): number {
  const [group = ''] = name.split(' ')
  const command = [name, group].find((each) => helpFor(each) !== undefined) ?? ''
  const written = command === '' ? '' : `${usageOf(command)}\n`
  const more = ['image-resolver', ...(command === '' ? [] : [command]), '--help'].join(' ')
  context.stderr.write(`image-resolver: ${visible(problem)}\n${written}${more} says more\n`)
  return EXIT.usage
}
