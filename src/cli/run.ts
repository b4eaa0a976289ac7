import { parseArgs } from 'node:util'
import { toResolveError } from '../errors.ts'
import { adoptCommand } from './commands/adopt.ts'
import { configCheckCommand } from './commands/config.ts'
import { containerdHostsCommand } from './commands/containerd-hosts.ts'
import {
  imagesCommand,
  type NodeCommandOptions,
  pullCommand,
  removeCommand,
} from './commands/images.ts'
import { parseCommand } from './commands/parse.ts'
import { resolveCommand } from './commands/resolve.ts'
import { helpFor, VERSION } from './help.ts'
import type { FileOption, World } from './world.ts'

const OPTIONS = {
  config: { type: 'string', short: 'f' },
  // image-cri-shim's name for it.
  file: { type: 'string' },
  portoshim: { type: 'string' },
  json: { type: 'boolean' },
  platform: { type: 'string' },
  explain: { type: 'boolean' },
  all: { type: 'boolean' },
  node: { type: 'boolean' },
  'dry-run': { type: 'boolean' },
  domain: { type: 'string' },
  write: { type: 'string' },
  server: { type: 'string' },
  force: { type: 'boolean' },
  help: { type: 'boolean', short: 'h' },
  version: { type: 'boolean', short: 'v' },
} as const

type Values = ReturnType<typeof readArguments>['values']

interface Command {
  /** The options it knows, beside `--help`. */
  readonly options: readonly (keyof typeof OPTIONS)[]
  /** How many words may follow it. */
  readonly words: { readonly min: number; readonly max: number; readonly problem: string }
  run(words: readonly string[], values: Values, world: World): Promise<number>
}

const COMMANDS: Readonly<Record<string, Command>> = {
  serve: {
    options: ['config', 'file', 'portoshim'],
    words: { min: 0, max: 0, problem: 'there is no such command' },
    run: (_words, values, world) => world.serve(filesOf(values)),
  },
  resolve: {
    options: ['config', 'file', 'portoshim', 'json', 'platform', 'explain', 'all', 'node'],
    words: { min: 1, max: 1, problem: 'resolve takes one reference' },
    run: ([reference = ''], values, world) => {
      const { json = false, explain = false, all = false, node = false, platform } = values
      return resolveCommand({
        reference,
        json,
        explain,
        all,
        node,
        ...(platform === undefined ? {} : { platform }),
        open: () => world.answers(filesOf(values)),
        stdout: world.stdout,
        stderr: world.stderr,
      })
    },
  },
  pull: {
    options: ['config', 'file', 'json'],
    words: { min: 1, max: 1, problem: 'pull takes one reference' },
    run: ([image = ''], values, world) => pullCommand(image, nodeOptions(values, world)),
  },
  images: {
    options: ['config', 'file', 'json'],
    words: { min: 0, max: 0, problem: 'images takes no words after it' },
    run: (_words, values, world) => imagesCommand(nodeOptions(values, world)),
  },
  rmi: {
    options: ['config', 'file'],
    words: {
      min: 1,
      max: Number.POSITIVE_INFINITY,
      problem: 'rmi takes the name or ID of an image',
    },
    run: (images, values, world) => removeCommand(images, nodeOptions(values, world)),
  },
  adopt: {
    options: ['config', 'file', 'json', 'dry-run', 'domain'],
    words: { min: 0, max: 0, problem: 'adopt takes no words after it' },
    run: (_words, values, world) => {
      const { json = false, 'dry-run': dryRun = false, domain } = values
      const open = () => world.names({ file: fileOf(values) })
      return adoptCommand({ open, dryRun, domain, json, stdout: world.stdout })
    },
  },
  'containerd-hosts': {
    options: ['config', 'file', 'portoshim', 'write', 'server', 'force'],
    words: { min: 0, max: 0, problem: 'containerd-hosts takes no words after it' },
    run: (_words, values, { stdout, stderr }) => {
      const { force = false, server, write } = values
      return containerdHostsCommand({ ...filesOf(values), force, server, write, stdout, stderr })
    },
  },
  parse: {
    options: ['json'],
    words: { min: 0, max: Number.POSITIVE_INFINITY, problem: '' },
    run: (references, { json = false }, { stdin, stdout }) =>
      parseCommand({ references, json, stdin, stdout }),
  },
  'config check': {
    options: ['config', 'file', 'portoshim'],
    words: { min: 0, max: 0, problem: 'config check takes no words after it' },
    run: (_words, values, { stdout, stderr }) =>
      configCheckCommand({ ...filesOf(values), stdout, stderr }),
  },
}

/** Wrong use: the same number as a wrong configuration. */
const EXIT_USAGE = 2

/** @returns the exit code: 0, 1 when the answer is no, 2 for wrong use or a bad configuration */
export async function run(args: readonly string[], world: World): Promise<number> {
  try {
    const { values, positionals } = readArguments(args)
    if (values.version) return print(world, `${VERSION}\n`)
    const { name, words } = nameCommand(positionals)
    if (values.help) return print(world, helpFor(positionals.length === 0 ? '' : name))
    if (positionals[0] === 'help') return print(world, helpFor(words.join(' ')))
    const command = COMMANDS[name]
    if (command === undefined) return usage(world, `there is no command ${name}`, '')
    const given = Object.keys(values) as (keyof typeof OPTIONS)[]
    const foreign = given.find((option) => !command.options.includes(option))
    if (foreign !== undefined) return usage(world, `${name} has no option --${foreign}`, name)
    const { min, max, problem } = command.words
    if (words.length < min || words.length > max) return usage(world, problem, name)
    return await command.run(words, values, world)
  } catch (thrown) {
    if (isUsageError(thrown)) return usage(world, thrown.message, '')
    const error = toResolveError(thrown)
    world.stderr.write(`image-resolver: ${error.message}\n`)
    return error.code === 'CONFIG_INVALID' ? EXIT_USAGE : 1
  }
}

function readArguments(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true, strict: true })
}

/** Without a command the service is run, as image-cri-shim does. */
function nameCommand(positionals: readonly string[]): {
  readonly name: string
  readonly words: readonly string[]
} {
  const [first = 'serve', second] = positionals
  if (first === 'config' && second !== undefined) {
    return { name: `config ${second}`, words: positionals.slice(2) }
  }
  return { name: first, words: positionals.slice(1) }
}

function nodeOptions(values: Values, world: World): NodeCommandOptions {
  const { json = false } = values
  return { open: () => world.node({ file: fileOf(values) }), json, stdout: world.stdout }
}

function filesOf(values: Values): FileOption {
  const { portoshim } = values
  return { file: fileOf(values), ...(portoshim === undefined ? {} : { portoshim }) }
}

function fileOf(values: Values): string | undefined {
  return values.config ?? values.file
}

function print(world: World, text: string): 0 {
  world.stdout.write(text)
  return 0
}

function usage(world: World, problem: string, command: string): number {
  world.stderr.write(`image-resolver: ${problem}\n\n${helpFor(command)}`)
  return EXIT_USAGE
}

function isUsageError(thrown: unknown): thrown is Error {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return typeof code === 'string' && code.startsWith('ERR_PARSE_ARGS_')
}
