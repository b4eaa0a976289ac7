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
import { registryImagesCommand, registryTagsCommand } from './commands/registry-names.ts'
import { registryStatusCommand } from './commands/registry-status.ts'
import { resolveCommand } from './commands/resolve.ts'
import { statsCommand } from './commands/stats.ts'
import { fileOf, filesOf, limitOf, type OptionName, type Values } from './options.ts'
import type { World } from './world.ts'

export interface Command {
  /** The options it knows, beside `--help`. */
  readonly options: readonly OptionName[]
  /** How many words may follow it. */
  readonly words: { readonly min: number; readonly max: number; readonly problem: string }
  /** @returns the exit code */
  run(words: readonly string[], values: Values, world: World): Promise<number>
}

const MANY = Number.POSITIVE_INFINITY

function nothingAfter(name: string): Command['words'] {
  return { min: 0, max: 0, problem: `${name} takes no words after it` }
}

/** By name; some are of two words. */
export const COMMANDS: Readonly<Record<string, Command>> = {
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
  'registry status': {
    options: ['config', 'file', 'portoshim', 'json', 'check'],
    words: nothingAfter('registry status'),
    run: (_words, values, world) => {
      const { check = false, json = false } = values
      return registryStatusCommand({ files: filesOf(values), check, json, world })
    },
  },
  'registry images': {
    options: ['config', 'file', 'portoshim', 'json', 'limit'],
    words: { min: 0, max: 1, problem: 'registry images takes one name of a registry, or none' },
    run: ([name], values, world) => registryImagesCommand(name, namesOptions(values, world)),
  },
  'registry tags': {
    options: ['config', 'file', 'portoshim', 'json', 'limit'],
    words: {
      min: 2,
      max: 2,
      problem: 'registry tags takes the name of a registry and a repository there',
    },
    run: ([name = '', repository = ''], values, world) =>
      registryTagsCommand(name, repository, namesOptions(values, world)),
  },
  pull: {
    options: ['config', 'file', 'json'],
    words: { min: 1, max: 1, problem: 'pull takes one reference' },
    run: ([image = ''], values, world) => pullCommand(image, nodeOptions(values, world)),
  },
  images: {
    options: ['config', 'file', 'json'],
    words: nothingAfter('images'),
    run: (_words, values, world) => imagesCommand(nodeOptions(values, world)),
  },
  rmi: {
    options: ['config', 'file'],
    words: { min: 1, max: MANY, problem: 'rmi takes the name or ID of an image' },
    run: (images, values, world) => removeCommand(images, nodeOptions(values, world)),
  },
  stats: {
    options: ['config', 'file', 'portoshim', 'json'],
    words: nothingAfter('stats'),
    run: (_words, values, world) => {
      const { json = false } = values
      return statsCommand({ files: filesOf(values), json, world })
    },
  },
  adopt: {
    options: ['config', 'file', 'json', 'dry-run', 'domain'],
    words: nothingAfter('adopt'),
    run: (_words, values, world) => {
      const { json = false, 'dry-run': dryRun = false, domain } = values
      const open = () => world.names({ file: fileOf(values) })
      return adoptCommand({ open, dryRun, domain, json, stdout: world.stdout })
    },
  },
  'containerd-hosts': {
    options: ['config', 'file', 'portoshim', 'write', 'server', 'force'],
    words: nothingAfter('containerd-hosts'),
    run: (_words, values, { stdout, stderr }) => {
      const { force = false, server, write } = values
      return containerdHostsCommand({ ...filesOf(values), force, server, write, stdout, stderr })
    },
  },
  parse: {
    options: ['json'],
    words: { min: 0, max: MANY, problem: '' },
    run: (references, { json = false }, { stdin, stdout }) =>
      parseCommand({ references, json, stdin, stdout }),
  },
  'config check': {
    options: ['config', 'file', 'portoshim'],
    words: nothingAfter('config check'),
    run: (_words, values, { stdout, stderr }) =>
      configCheckCommand({ ...filesOf(values), stdout, stderr }),
  },
}

function nodeOptions(values: Values, world: World): NodeCommandOptions {
  const { json = false } = values
  return { open: () => world.node({ file: fileOf(values) }), json, world }
}

function namesOptions(values: Values, world: World) {
  const { json = false } = values
  return { files: filesOf(values), limit: limitOf(values), json, world }
}
