import { CONFIGURED, type Command, OF_NODE, REFUSED, UNREACHABLE, WRONG_USE } from './command.ts'
import { EXIT } from './exit-codes.ts'

/** What sets up a node, and looks at one. */
export const NODE_COMMANDS: Readonly<Record<string, Command>> = {
  adopt: {
    about: `For nodes that move from image-cri-shim: gives every image of this node that has a name of a
configured registry the name that this one stands for, so that pods find it without a registry.
Adds names in containerd, never takes one away or moves one. The service need not run.

A name's domain is known where the entry's \`path\` has {domain}, or its \`upstreams\` are of one
domain. For all other entries --domain says it: docker.io, if the registry holds nothing else.`,
    options: ['config', 'file', 'dry-run', 'domain', 'json'],
    meanings: {
      domain: `the domain of the images in registries that do not say it themselves;
default: such images are left as they are`,
      json: '[{imageId, from, name?, outcome, reason?}]',
    },
    exitCodes: {
      [EXIT.done]: 'done',
      [EXIT.failed]: 'the runtime lets no client name its images',
      ...OF_NODE,
    },
    examples: ['adopt --dry-run', 'adopt --domain docker.io'],
    run: async (...given) => (await import('./commands/adopt.ts')).adoptCommand(...given),
  },
  'containerd-hosts': {
    about: `Prints or writes the hosts.toml files by which containerd pulls through this service's /v2/
(\`mirror.enabled\`): one for each domain that a configured registry serves, and _default where one
serves everything. Pods keep the names that they have. With --direct it is only what containerd
has to know of registries of plain http or with TLS settings of their own, for pulls by the CRI
socket. Files that another program wrote are not replaced.`,
    options: [...CONFIGURED, 'write', 'server', 'direct', 'force'],
    meanings: {
      write: `write DIR/DOMAIN/hosts.toml; DIR is containerd's \`config_path\`;
default: print them`,
      server: 'where containerd reaches this service; default: `http.listen`',
    },
    exitCodes: {
      [EXIT.done]: 'printed, or written',
      [EXIT.failed]: 'not written',
      ...WRONG_USE,
      ...REFUSED,
    },
    examples: ['containerd-hosts --write /etc/containerd/certs.d'],
    run: async (...given) =>
      (await import('./commands/containerd-hosts.ts')).containerdHostsCommand(...given),
  },
  doctor: {
    about: `Looks for what stands in the way on this node: in the configuration, in containerd's config.toml
with its imports and hosts.toml files, in CRI-O's registries.conf, in kubelet's flags and files,
at sockets, other shims, disks and limits, and at the registries: names, certificates, credentials,
clock. Each finding has its file and line, what follows from it, and what to do. Nothing is changed.

  error      pulls fail or pass this service by, or a program does not start
  warning    not yet`,
    options: [...CONFIGURED, 'root', 'offline', 'fail-on', 'json'],
    values: { 'fail-on': 'SEVERITY' },
    meanings: {
      root: `look at the files, sockets and processes below DIR, and ask no
registry; default: /`,
      offline: 'ask no registry',
      'fail-on': 'error, warning or nothing: what ends it with 1; default: error',
      json: `{findings: [{check, area, severity, file, line, problem,
consequence, mend}], checked, skipped}`,
    },
    exitCodes: {
      [EXIT.done]: 'no error was found',
      [EXIT.failed]: 'an error was found, or what --fail-on says',
      [EXIT.usage]: 'wrong use',
    },
    examples: [
      'doctor',
      'doctor --root /host --fail-on warning',
      "doctor --json | jq -r '.findings[].mend'",
    ],
    run: async (...given) => (await import('./commands/doctor.ts')).doctorCommand(...given),
  },
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
    meanings: {
      config: `a configuration that becomes /etc/image-resolver.yaml; default: the one
that is there, else one with the defaults`,
      'dry-run': 'print what is written and removed, and each command, and change nothing',
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
    run: async (...given) => (await import('./commands/install.ts')).installCommand(...given),
  },
  uninstall: {
    about: `Leaves the node as it was before \`install\`: kubelet first, then the service, then every file with
its content, mode and owner. A file that was changed by others since is left, and named; of those of
kubelet the endpoint alone is put back. One that cannot be written (immutable, on a read-only file
system) is left and named, too, and the next \`uninstall\` goes on with it. Where kubelet still uses
the service's socket, it has to be restarted before the service is stopped.`,
    options: ['restart-kubelet', 'root', 'chroot', 'dry-run'],
    meanings: { 'dry-run': 'print what is put back and each command, and change nothing' },
    exitCodes: {
      [EXIT.done]: 'all is as it was',
      [EXIT.failed]: 'some files were changed by others, or cannot be written, and are left',
      ...WRONG_USE,
      ...REFUSED,
      [EXIT.unreachable]: 'kubelet has to be restarted first, or another run holds the lock',
    },
    examples: [
      'uninstall --dry-run              what would be put back?',
      'uninstall --restart-kubelet',
    ],
    run: async (...given) => (await import('./commands/install.ts')).uninstallCommand(...given),
  },
  status: {
    about: `Shows what is installed on this node, which version runs and whether it is ready, the state of
its units, where kubelet's endpoints lead and in which file they are set, and the hosts.toml files
that were written.`,
    options: ['root', 'chroot', 'json'],
    meanings: {
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
    run: async (...given) => (await import('./commands/install.ts')).nodeStatusCommand(...given),
  },
}
