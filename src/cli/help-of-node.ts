import { EXIT } from './exit-codes.ts'
import { type HelpText, REFUSED, UNREACHABLE, WRONG_USE } from './help-text.ts'

/** The help of commands that put the service on a node. */
export const HELP_OF_NODE: Readonly<Record<string, HelpText>> = {
  install: {
    about: `Puts this program on the node as a service: copies it to /opt/image-resolver, unless a package has
installed it, writes its units, and a configuration where there is none, tells containerd by
hosts.toml of registries of plain http, starts the service, waits until it is ready, and leads
kubelet to its socket. kubelet's configuration is found as kubeadm, k3s and rke2 have it, or in its
unit. kubelet is restarted with --restart-kubelet alone.

If the service does not get ready, or anything else fails, all is put back. What is changed is kept
beside each file, and listed in /var/lib/image-resolver/install.json. A second run changes nothing,
a newer version takes the place of the older one, and an interrupted run is continued by the next.

In a container: --root /host --chroot, with the host's network and PIDs.`,
    options: {
      config: `a configuration that becomes /etc/image-resolver.yaml; default: the one
that is there, else one with the defaults`,
      'dry-run': 'print the diff of each file and each command, and change nothing',
    },
    exitCodes: {
      [EXIT.done]: 'installed',
      [EXIT.failed]: 'not installed, and all is as it was',
      ...WRONG_USE,
      ...REFUSED,
      [EXIT.unreachable]:
        'the service or kubelet did not get ready, and all is as it was; or another run holds the lock',
    },
    examples: [
      'install --dry-run                what would be changed?',
      'install --restart-kubelet',
      'install --root /host --chroot --restart-kubelet',
    ],
  },
  uninstall: {
    about: `Leaves the node as it was before \`install\`: kubelet first, then the service, then every file with
its content, mode and owner. A file that was changed by others since is left, and named; of those of
kubelet the endpoint alone is put back. Where kubelet still uses the service's socket, it has to be
restarted before the service is stopped.`,
    exitCodes: {
      [EXIT.done]: 'all is as it was',
      [EXIT.failed]: 'some files were changed by others, and are left',
      ...WRONG_USE,
      ...REFUSED,
      [EXIT.unreachable]: 'kubelet has to be restarted first, or another run holds the lock',
    },
    examples: ['uninstall --restart-kubelet'],
  },
  status: {
    about: `Shows what is installed on this node, which version runs and whether it is ready, the state of
its units, where kubelet's endpoints lead and in which file they are set, and the hosts.toml files
that were written.`,
    options: {
      json: `{installed, interrupted, running, units, kubelet, hosts, changed,
problems}`,
    },
    exitCodes: {
      [EXIT.done]: 'all is well',
      [EXIT.failed]: 'something is not; what is printed below the table',
      ...WRONG_USE,
      ...REFUSED,
      ...UNREACHABLE,
    },
    examples: ["status --json | jq -r '.problems[]'"],
  },
}
