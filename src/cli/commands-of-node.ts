import { VERSION } from '../../api/version.ts'
import { type Command, nothingAfter } from './command.ts'
import { fileOf, kubeletOf, waitOf, watchOf } from './options.ts'

/** Those that put the service on a node. */
export const COMMANDS_OF_NODE: Readonly<Record<string, Command>> = {
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
}
