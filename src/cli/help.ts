import { COMMANDS } from './commands.ts'
import { EXIT } from './exit-codes.ts'
import { HELP_OF_FILES } from './help-of-files.ts'
import { HELP_OF_NODE } from './help-of-node.ts'
import {
  CONFIG,
  FLAGS,
  type HelpText,
  MALFORMED,
  OF_NODE,
  OF_REGISTRIES,
  REFUSED,
  UNREACHABLE,
  WRONG_USE,
} from './help-text.ts'
import type { OptionName } from './options.ts'

const OVERVIEW = `image-resolver: which image is this reference, exactly, and where can it be pulled from?

Usage:
  image-resolver [--config FILE]              run the service: CRI shim and HTTP API

Ask the registries, with or without a running service:
  image-resolver resolve REF ...              which image is it, and who has it?
  image-resolver registry status              how the configured registries do
  image-resolver registry images [NAME]       what they have
  image-resolver registry tags NAME REPO      the tags of a repository there
  image-resolver check [FILE ...]             can these images still be pulled, and where?

Ask the running service:
  image-resolver images                       the images of this node, with all their names
  image-resolver pull REF                     pull as kubelet does
  image-resolver rmi IMAGE ...                remove images, by any name or ID
  image-resolver stats                        what it has counted

Set up a node:
  image-resolver doctor                       what stands in the way on this node?
  image-resolver install                      put the service on this node, and lead kubelet to it
  image-resolver uninstall                    leave the node as it was before
  image-resolver status                       what is installed, what runs, where kubelet leads
  image-resolver config check                 print the effective configuration, or its mistakes
  image-resolver containerd-hosts             containerd's hosts.toml files, to pull through /v2/
  image-resolver adopt [--dry-run]            name what another shim left under mirrors' names

Pin what you deploy:
  image-resolver pin FILE ...                 write tags with the digests they point at
  image-resolver drift FILE ...               which pinned tags have moved since?

Without the network:
  image-resolver parse [REF ...]              take references apart

Options:
${option('config', `${CONFIG}.\n--file means the same.`)}
${option('portoshim')}
${option('json', 'for scripts; most commands have it, and print what the HTTP API answers')}
  -h, --help              this text; after a command, its own
  -v, --version           the version

${exitCodes({ [EXIT.done]: 'done', [EXIT.failed]: 'failed in another way than those below', ...OF_REGISTRIES })}

Examples:
  image-resolver resolve nginx:latest
  curl 'http://127.0.0.1:9430/resolve?ref=nginx:latest'
`

const HELP: Readonly<Record<string, HelpText>> = {
  serve: {
    usage: '[serve] [options]',
    about: `Runs the service until SIGTERM or SIGINT: the CRI shim on the socket \`shim:\`, in front of the
runtime at \`cri:\`, and the HTTP API on \`http.listen\`. Without a runtime it serves HTTP alone.
Logs are lines on standard error: JSON, or text on a terminal. The journal gets their priority.`,
    exitCodes: {
      [EXIT.done]: 'a signal ended it',
      [EXIT.failed]: 'it could not start, or a fault ended it',
      ...WRONG_USE,
    },
    examples: ['--config /etc/image-resolver.yaml'],
  },
  resolve: {
    usage: 'resolve REF ... [options]',
    about: `Asks the configured registries, in order of priority, which image REF is, without a running
service, without a cache, and without pulling anything. REF is what you would write in a pod:
nginx, quay.io/team/app:1.2, nginx@sha256:... Several are asked for at the same time, and printed
in their order; - reads them from standard input, one a line. Each takes 20 s at most.

Without a configuration file it asks as crane and skopeo do: with what docker login or podman
login have left, and plain http for a registry on localhost.`,
    options: {
      quiet: 'print the digest alone, one a line; the image ID where no digest is known',
      format: `print fields of the answer, one line each; default: all, for people.
{{.requested}} {{.reference}} {{.repository}} {{.imageId}} {{.digest}}
{{.manifestDigest}} {{.mediaType}} {{.platform}} {{.registry}}
{{.source}} {{.pullFrom}}; \\t is a tab, - stands for what is unknown`,
      json: 'the answer of GET /resolve; of several, one line each as POST /resolve has',
    },
    exitCodes: {
      [EXIT.done]: 'found',
      [EXIT.failed]:
        'failed in another way than those below, or several references in different ways',
      ...OF_REGISTRIES,
    },
    examples: [
      'resolve nginx:1.27 --explain       why this registry, and what the others said',
      'resolve nginx:1.27 --all           do all mirrors have the same image?',
      'resolve nginx --platform linux/arm64',
      `resolve nginx --format {{.repository}}@{{.digest}}
                                                    the tag as a digest, to pin it`,
      'resolve - --quiet <images.txt      one digest a line',
    ],
  },
  registry: {
    usage: 'registry status|images|tags [options]',
    about: `The configured registries: how they do, and what they have.

  image-resolver registry status                    are they well, and how fast?
  image-resolver registry images [NAME]             the repositories of one, or of all
  image-resolver registry tags NAME REPOSITORY      the tags of a repository`,
    exitCodes: {
      [EXIT.done]: 'done',
      [EXIT.failed]: 'a registry is not well, or did not say',
      ...OF_REGISTRIES,
    },
    examples: ['registry status'],
  },
  'registry status': {
    about: `Asks every configured registry whether it is there, all at once and 5 s at most, and shows what
the running service makes of it.

  HEALTHY   it answered now; unknown: it could not be asked from here
  LATENCY   of that answer, connection and login included
  CHECKED   when it was asked
  STATE     what the service does: in use; not asked yet; left alone after failures; wants a
            pause (429); on probation, after one of these; not loaded yet; -: no service
  LEFT      how many requests it says are left, of how many

The last error stands below a registry, also of one that is well again.`,
    options: {
      json: `the body of GET /registries; \`healthy\` and \`latencyMs\` are what was
measured, null where that is unknown, and \`checkedAt\` is when`,
    },
    exitCodes: {
      [EXIT.done]: 'all are healthy',
      [EXIT.failed]: 'one is not, or it is not known',
      ...WRONG_USE,
    },
    examples: [
      "registry status || echo 'a registry is down'",
      "registry status --json | jq -r '.registries[] | select(.healthy | not).name'",
    ],
  },
  'registry images': {
    usage: 'registry images [NAME] [options]',
    about: `Lists the repositories that a registry has, by its own catalogue; without NAME those of all that
are configured. NAME is as in \`registry status\`. Many public registries have no catalogue. The
running service is asked; where none answers, the registry itself, 10 s at most for a page.`,
    options: {
      limit: 'at most so many of each registry; default: 10000',
      json: 'the body of GET /registries/NAME/images, one registry a line',
    },
    exitCodes: {
      [EXIT.done]: 'listed',
      [EXIT.failed]: 'a registry did not say; what the others said is printed',
      ...WRONG_USE,
      ...MALFORMED,
      ...REFUSED,
      ...UNREACHABLE,
    },
    examples: ['registry images sealos.hub:5000'],
  },
  'registry tags': {
    usage: 'registry tags NAME REPOSITORY [options]',
    about: `Lists the tags of a repository, one a line. NAME and REPOSITORY are as \`registry images\` prints
them. The running service is asked; where none answers, the registry itself.`,
    options: { json: 'the body of GET /registries/NAME/tags' },
    exitCodes: {
      [EXIT.done]: 'listed',
      [EXIT.failed]: 'the registry did not say, in another way than those below',
      ...OF_REGISTRIES,
    },
    examples: ['registry tags sealos.hub:5000 library/nginx'],
  },
  pull: {
    usage: 'pull REF [options]',
    about: `Pulls REF through the running service, as a kubelet without credentials does, and prints the
runtime's ID of the image. It asks the service at its \`shim:\` socket.`,
    options: { json: '{"imageId": ...}' },
    exitCodes: {
      [EXIT.done]: 'pulled',
      [EXIT.failed]: 'not pulled, in another way than those below',
      ...OF_REGISTRIES,
    },
    examples: ['pull nginx:1.27'],
  },
  images: {
    about: `Lists the images of this node, asking the running service: one line for each name, with the
digest that it stands for, the image's ID and its size. The first 12 characters of an ID do for
\`rmi\`; --json has everything in full.`,
    options: {
      quiet: 'print the IDs alone, one a line',
      json: `the body of GET /images:
{images: [{imageId, references, sizeBytes, pinned}]}`,
    },
    exitCodes: {
      [EXIT.done]: 'listed',
      [EXIT.failed]: 'not listed, in another way than those below',
      ...OF_NODE,
    },
    examples: ["images --json | jq -r '.images[].references[]'"],
  },
  rmi: {
    usage: 'rmi IMAGE ... [options]',
    about: `Removes images from this node, by any of their names or by ID, with all their names. What is not
there counts as removed. It asks the service at its \`shim:\` socket.`,
    exitCodes: {
      [EXIT.done]: 'what was named is not there any more',
      [EXIT.failed]: 'it may be there still',
      ...OF_NODE,
      ...MALFORMED,
    },
    examples: ['rmi nginx:1.27 quay.io/team/app:2'],
  },
  stats: {
    about: `Shows what the running service has counted since its start: how many questions the cache
answered, how long answers took, how pulls ended. It asks the service at \`http.listen\`. With --fleet
it asks the store that nodes share, and no service need run.`,
    options: { json: 'the body of GET /stats, or a list of the nodes' },
    exitCodes: {
      [EXIT.done]: 'shown',
      [EXIT.failed]: 'the service did not say',
      ...OF_NODE,
    },
    examples: ['stats --json | jq .cache.hitRate', 'stats --fleet'],
  },
  adopt: {
    about: `For nodes that move from image-cri-shim: gives every image of this node that has a name of a
configured registry the name that this one stands for, so that pods find it without a registry.
Adds names in containerd, never takes one away or moves one. The service need not run.

A name's domain is known where the entry's \`path\` has {domain}, or its \`upstreams\` are of one
domain. For all other entries --domain says it: docker.io, if the registry holds nothing else.`,
    options: {
      domain: `whose images those registries hold that do not say so themselves;
default: such images are left as they are`,
      json: '[{imageId, from, name?, outcome, reason?}]',
    },
    exitCodes: {
      [EXIT.done]: 'done',
      [EXIT.failed]: 'the runtime lets no client name its images',
      ...OF_NODE,
    },
    examples: ['adopt --dry-run', 'adopt --domain docker.io'],
  },
  'containerd-hosts': {
    about: `Prints or writes the hosts.toml files by which containerd pulls through this service's /v2/
(\`mirror.enabled\`): one for each domain that a configured registry serves, and _default where one
serves everything. Pods keep the names that they have. With --direct it is only what containerd
has to know of registries of plain http or with TLS settings of their own, for pulls by the CRI
socket. Files that another program wrote are not replaced.`,
    options: {
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
  },
  ...HELP_OF_NODE,
  ...HELP_OF_FILES,
  doctor: {
    about: `Looks for what stands in the way on this node: in the configuration, in containerd's config.toml
with its imports and hosts.toml files, in CRI-O's registries.conf, in kubelet's flags and files,
at sockets, other shims, disks and limits, and at the registries: names, certificates, credentials,
clock. Each finding has its file and line, what follows from it, and what to do. Nothing is changed.

  error      pulls fail or pass this service by, or a program does not start
  warning    not yet`,
    options: {
      root: `look at the files, sockets and processes below DIR, and ask no
registry; default: /`,
      offline: 'ask no registry',
      'fail-on': 'error, warning or nothing: what ends it with 1; default: error',
      json: `{findings: [{check, area, severity, file, line, problem,
consequence, mend}], checked, skipped}`,
    },
    flags: { 'fail-on': '    --fail-on SEVERITY' },
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
  },
  parse: {
    usage: 'parse [REF ...] [--json]',
    about: `Takes references apart by the distribution grammar, without the network. Without REF it reads one
reference a line from standard input.`,
    options: {
      json: `one JSON object a line:
{input, ok, error?, reference, domain, path, tag, digest, familiar}`,
    },
    exitCodes: {
      [EXIT.done]: 'all are references; with --json also when one is not',
      [EXIT.usage]: 'wrong use',
      [EXIT.malformed]: 'one is no reference',
    },
    examples: ['parse nginx quay.io/team/app:1.2'],
  },
  config: {
    usage: 'config check [options]',
    about: `The configuration of the service.

  image-resolver config check                       is it usable, and what does it come to?`,
    exitCodes: { [EXIT.done]: 'usable', ...WRONG_USE },
    examples: ['config check'],
  },
  'config check': {
    about: `Prints the effective configuration, every default filled in and secrets hidden, or every mistake
as FILE:LINE: field: message. Warnings, also about files that it names, go to standard error.`,
    exitCodes: { [EXIT.done]: 'usable, perhaps with warnings', ...WRONG_USE },
    examples: ['config check --config /etc/image-resolver.yaml'],
  },
}

/** @param command '' for the overview. @returns undefined when there is no such command or group */
export function helpFor(command: string): string | undefined {
  if (command === '') return OVERVIEW
  const text = HELP[command]
  return text === undefined ? undefined : helpText(command, text)
}

/** `Usage: image-resolver resolve REF ... [options]` */
export function usageOf(command: string): string | undefined {
  return helpFor(command)?.split('\n')[0]
}

function helpText(command: string, text: HelpText): string {
  const { about, examples, exitCodes: codes, usage = `${command} [options]` } = text
  return `Usage: image-resolver ${usage}

${about}

Options:
${optionsOf(command, text)}

${exitCodes(codes)}

Example${examples.length === 1 ? '' : 's'}:
${examples.map((each) => `  image-resolver ${each}`).join('\n')}
`
}

function optionsOf(command: string, { flags = {}, options = {} }: HelpText): string {
  const known = COMMANDS[command]
  if (known === undefined) {
    const members = Object.keys(COMMANDS).filter((name) => name.startsWith(`${command} `))
    return `  --help after ${members.length === 1 ? 'it shows its' : 'one of them shows its'} own.`
  }
  const shown = known.options.filter((name) => FLAGS[name] !== undefined)
  return shown.map((name) => option(name, options[name], flags[name])).join('\n')
}

function option(name: OptionName, text?: string, flag?: string): string {
  const [usual = '', everywhere = ''] = FLAGS[name] ?? []
  const lines = (text ?? everywhere).split('\n')
  return `  ${(flag ?? usual).padEnd(24)}${lines.join(`\n${' '.repeat(26)}`)}`
}

function exitCodes(codes: HelpText['exitCodes']): string {
  // Keys that are numbers come in their order.
  const lines = Object.entries(codes).map(([code, text]) => `  ${code}  ${text}`)
  return `Exit codes:\n${lines.join('\n')}`
}
