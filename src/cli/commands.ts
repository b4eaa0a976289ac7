import { type Command, MANY, nothingAfter } from './command.ts'
import type { NodeCommandOptions } from './commands/images.ts'
import { COMMANDS_OF_FILES } from './commands-of-files.ts'
import { COMMANDS_OF_NODE } from './commands-of-node.ts'
import type { CliContext } from './context.ts'
import { fileOf, filesOf, limitOf, logFormatOf, onlyOne, type Values } from './options.ts'

/** By name; some are of two words. Each is loaded when it is run: the service needs none of them. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  serve: {
    options: ['config', 'file', 'portoshim', 'log-format'],
    words: { min: 0, max: 0, problem: 'serve takes no words after it' },
    run: async (_words, values, context) =>
      context.serve({ ...filesOf(values), ...logFormatOf(values) }),
  },
  resolve: {
    options: [
      'config',
      'file',
      'portoshim',
      'platform',
      'node',
      'explain',
      'all',
      'quiet',
      'format',
      'json',
    ],
    words: {
      min: 1,
      max: MANY,
      problem: 'resolve takes a reference, as in nginx:latest, or several, or - for standard input',
    },
    run: async (words, values, context) => {
      const { json = false, explain = false, all = false, node = false, platform } = values
      onlyOne(values, ['json', 'quiet', 'format'])
      const { digestLine, parseTemplate, resolveCommand } = await import('./commands/resolve.ts')
      const template = values.format === undefined ? undefined : parseTemplate(values.format)
      const format = values.quiet === true ? digestLine : template
      return resolveCommand({
        words,
        json,
        format,
        explain,
        all,
        node,
        ...(platform === undefined ? {} : { platform }),
        open: () => context.answers(filesOf(values)),
        context,
      })
    },
  },
  'registry status': {
    options: ['config', 'file', 'portoshim', 'check', 'json'],
    words: nothingAfter('registry status'),
    run: async (_words, values, context) => {
      const { registryStatusCommand } = await import('./commands/registry-status.ts')
      const { check = false, json = false } = values
      return registryStatusCommand({ files: filesOf(values), check, json, context })
    },
  },
  'registry images': {
    options: ['config', 'file', 'portoshim', 'limit', 'json'],
    words: { min: 0, max: 1, problem: 'registry images takes one name of a registry, or none' },
    run: async ([name], values, context) => {
      const { registryImagesCommand } = await import('./commands/registry-names.ts')
      return registryImagesCommand(name, namesOptions(values, context))
    },
  },
  'registry tags': {
    options: ['config', 'file', 'portoshim', 'limit', 'json'],
    words: {
      min: 2,
      max: 2,
      problem: 'registry tags takes the name of a registry and a repository there',
    },
    run: async ([name = '', repository = ''], values, context) => {
      const { registryTagsCommand } = await import('./commands/registry-names.ts')
      return registryTagsCommand(name, repository, namesOptions(values, context))
    },
  },
  pull: {
    options: ['config', 'file', 'json'],
    words: { min: 1, max: 1, problem: 'pull takes one reference, as in nginx:latest' },
    run: async ([image = ''], values, context) => {
      const { pullCommand } = await import('./commands/images.ts')
      return pullCommand(image, nodeOptions(values, context))
    },
  },
  images: {
    options: ['config', 'file', 'quiet', 'json'],
    words: nothingAfter('images'),
    run: async (_words, values, context) => {
      onlyOne(values, ['json', 'quiet'])
      const { imagesCommand } = await import('./commands/images.ts')
      return imagesCommand({ ...nodeOptions(values, context), quiet: values.quiet ?? false })
    },
  },
  rmi: {
    options: ['config', 'file'],
    words: { min: 1, max: MANY, problem: 'rmi takes the name or ID of an image' },
    run: async (images, values, context) => {
      const { removeCommand } = await import('./commands/images.ts')
      return removeCommand(images, nodeOptions(values, context))
    },
  },
  stats: {
    options: ['config', 'file', 'portoshim', 'fleet', 'json'],
    words: nothingAfter('stats'),
    run: async (_words, values, context) => {
      const { fleetCommand, statsCommand } = await import('./commands/stats.ts')
      const { fleet = false, json = false } = values
      const command = fleet ? fleetCommand : statsCommand
      return command({ files: filesOf(values), json, context })
    },
  },
  adopt: {
    options: ['config', 'file', 'dry-run', 'domain', 'json'],
    words: nothingAfter('adopt'),
    run: async (_words, values, context) => {
      const { adoptCommand } = await import('./commands/adopt.ts')
      const { json = false, 'dry-run': dryRun = false, domain } = values
      const open = () => context.names({ file: fileOf(values) })
      return adoptCommand({ open, dryRun, domain, json, context })
    },
  },
  'containerd-hosts': {
    options: ['config', 'file', 'portoshim', 'write', 'server', 'direct', 'force'],
    words: nothingAfter('containerd-hosts'),
    run: async (_words, values, { stdout, stderr }) => {
      const { containerdHostsCommand } = await import('./commands/containerd-hosts.ts')
      const { direct = false, force = false, server } = values
      const write = typeof values.write === 'string' ? values.write : undefined
      const options = { direct, force, server, write }
      return containerdHostsCommand({ ...filesOf(values), ...options, stdout, stderr })
    },
  },
  doctor: {
    options: ['config', 'file', 'portoshim', 'root', 'offline', 'fail-on', 'json'],
    words: nothingAfter('doctor'),
    run: async (_words, values, context) => {
      const { doctorCommand, doctorFailOn } = await import('./commands/doctor.ts')
      const { json = false, offline = false, root = '/' } = values
      const place = { ...filesOf(values), root, offline }
      return doctorCommand({ place, failOn: doctorFailOn(values['fail-on']), json, context })
    },
  },
  ...COMMANDS_OF_NODE,
  ...COMMANDS_OF_FILES,
  parse: {
    options: ['json'],
    words: { min: 0, max: MANY, problem: '' },
    run: async (references, { json = false }, { stdin, stdout }) => {
      const { parseCommand } = await import('./commands/parse.ts')
      return parseCommand({ references, json, stdin, stdout })
    },
  },
  'config check': {
    options: ['config', 'file', 'portoshim'],
    words: nothingAfter('config check'),
    run: async (_words, values, { stdout, stderr }) => {
      const { configCheckCommand } = await import('./commands/config.ts')
      return configCheckCommand({ ...filesOf(values), stdout, stderr })
    },
  },
}

function nodeOptions(values: Values, context: CliContext): NodeCommandOptions {
  const { json = false } = values
  return { open: () => context.node({ file: fileOf(values) }), json, context }
}

function namesOptions(values: Values, context: CliContext) {
  const { json = false } = values
  return { files: filesOf(values), limit: limitOf(values), json, context }
}
