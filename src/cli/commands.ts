import { VERSION } from '../../api/version.ts'
import type { NodeCommandOptions } from './commands/images.ts'
import type { CliContext } from './context.ts'
import { FILE_COMMANDS } from './file-commands.ts'
import {
  CONFIGURED,
  type Command,
  fileOf,
  filesOf,
  kubeletOf,
  limitOf,
  logFormatOf,
  MANY,
  onlyOne,
  type Values,
  waitOf,
  watchOf,
} from './options.ts'

/** By name; some are of two words. Each is loaded when it is run: the service needs none of them. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  serve: {
    options: [...CONFIGURED, 'log-format'],
    words: nothingAfter('serve'),
    run: async (_words, values, context) =>
      context.serve({ ...filesOf(values), ...logFormatOf(values) }),
  },
  resolve: {
    options: [...CONFIGURED, 'platform', 'node', 'explain', 'all', 'quiet', 'format', 'json'],
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
    options: [...CONFIGURED, 'check', 'json'],
    words: nothingAfter('registry status'),
    run: async (_words, values, context) => {
      const { registryStatusCommand } = await import('./commands/registry-status.ts')
      const { check = false, json = false } = values
      return registryStatusCommand({ files: filesOf(values), check, json, context })
    },
  },
  'registry images': {
    options: [...CONFIGURED, 'limit', 'json'],
    words: { min: 0, max: 1, problem: 'registry images takes one name of a registry, or none' },
    run: async ([name], values, context) => {
      const { registryImagesCommand } = await import('./commands/registry-names.ts')
      return registryImagesCommand(name, namesOptions(values, context))
    },
  },
  'registry tags': {
    options: [...CONFIGURED, 'limit', 'json'],
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
    options: [...CONFIGURED, 'fleet', 'json'],
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
    options: [...CONFIGURED, 'write', 'server', 'direct', 'force'],
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
    options: [...CONFIGURED, 'root', 'offline', 'fail-on', 'json'],
    words: nothingAfter('doctor'),
    run: async (_words, values, context) => {
      const { doctorCommand, doctorFailOn } = await import('./commands/doctor.ts')
      const { json = false, offline = false, root = '/' } = values
      const place = { ...filesOf(values), root, offline }
      return doctorCommand({ place, failOn: doctorFailOn(values['fail-on']), json, context })
    },
  },
  install: {
    options: [
      'config',
      'file',
      'kubelet',
      'restart-kubelet',
      'runtime-endpoint',
      'root',
      'chroot',
      'wait',
      'watch',
      'secrets',
      'dry-run',
    ],
    words: nothingAfter('install'),
    run: async (_words, values, context) => {
      const { chroot = false, 'dry-run': dryRun = false, root } = values
      const [mode, waitMs] = [kubeletOf(values), waitOf(values)]
      const { installCommand } = await import('./commands/install.ts')
      return installCommand({
        root,
        chroot,
        config: fileOf(values),
        runtime: values['runtime-endpoint'],
        version: VERSION,
        mode,
        restartKubelet: values['restart-kubelet'] ?? false,
        dryRun,
        waitMs,
        watchMs: watchOf(values),
        secrets: values.secrets,
        context,
      })
    },
  },
  uninstall: {
    options: ['restart-kubelet', 'root', 'chroot'],
    words: nothingAfter('uninstall'),
    run: async (_words, values, context) => {
      const { chroot = false, 'restart-kubelet': restartKubelet = false, root } = values
      const { uninstallCommand } = await import('./commands/install.ts')
      return uninstallCommand({ root, chroot, restartKubelet, context })
    },
  },
  status: {
    options: ['root', 'chroot', 'json'],
    words: nothingAfter('status'),
    run: async (_words, { chroot = false, json = false, root }, context) => {
      const { nodeStatusCommand } = await import('./commands/install.ts')
      return nodeStatusCommand({ root, chroot, json, context })
    },
  },
  ...FILE_COMMANDS,
  parse: {
    options: ['json'],
    words: { min: 0, max: MANY, problem: '' },
    run: async (references, { json = false }, { stdin, stdout }) => {
      const { parseCommand } = await import('./commands/parse.ts')
      return parseCommand({ references, json, stdin, stdout })
    },
  },
  'config check': {
    options: [...CONFIGURED],
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

function nothingAfter(name: string): Command['words'] {
  return { min: 0, max: 0, problem: `${name} takes no words after it` }
}
