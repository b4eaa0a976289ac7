import { toResolveError } from '../errors.ts'
import { COMMANDS } from './commands.ts'
import { helpFor, VERSION } from './help.ts'
import { type OptionName, readArguments, UsageError } from './options.ts'
import { visible } from './table.ts'
import type { World } from './world.ts'

/** Wrong use: the same number as a wrong configuration. */
const EXIT_USAGE = 2
/** The first words of commands of two. */
const GROUPS: ReadonlySet<string> = new Set(
  Object.keys(COMMANDS).flatMap((name) => (name.includes(' ') ? [name.replace(/ .*/, '')] : [])),
)

/** @returns the exit code: 0, 1 when the answer is no, 2 for wrong use or a bad configuration */
export async function run(args: readonly string[], world: World): Promise<number> {
  try {
    return await runCommand(args, world)
  } catch (thrown) {
    if (thrown instanceof UsageError) return usage(world, thrown.message, '')
    const error = toResolveError(thrown)
    world.stderr.write(`image-resolver: ${error.message}\n`)
    return error.code === 'CONFIG_INVALID' ? EXIT_USAGE : 1
  }
}

async function runCommand(args: readonly string[], world: World): Promise<number> {
  const { values, positionals } = readArguments(args)
  if (values.version) return print(world, `${VERSION}\n`)
  const { name, words } = nameCommand(positionals)
  if (values.help) return print(world, helpFor(positionals.length === 0 ? '' : name))
  if (positionals[0] === 'help') return print(world, helpFor(words.join(' ')))
  const command = COMMANDS[name]
  if (command === undefined) return usage(world, `there is no command ${visible(name)}`, name)
  const given = Object.keys(values) as OptionName[]
  const foreign = given.find((option) => !command.options.includes(option))
  if (foreign !== undefined) return usage(world, `${name} has no option --${foreign}`, name)
  const { min, max, problem } = command.words
  if (words.length < min || words.length > max) return usage(world, problem, name)
  try {
    return await command.run(words, values, world)
  } catch (thrown) {
    if (thrown instanceof UsageError) return usage(world, thrown.message, name)
    throw thrown
  }
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

function print(world: World, text: string): 0 {
  world.stdout.write(text)
  return 0
}

function usage(world: World, problem: string, command: string): number {
  world.stderr.write(`image-resolver: ${problem}\n\n${helpFor(command)}`)
  return EXIT_USAGE
}
