import { EXIT, type ExitCode } from './exit-codes.ts'
import type { OptionName } from './options.ts'

/** What the help of a command says beside its options, which are those of the table of commands. */
export interface HelpText {
  /** What follows the name of the program; default: the command and `[options]`. */
  readonly usage?: string
  readonly about: string
  /** What an option means for this command, where that is not what it means for every one. */
  readonly options?: Partial<Readonly<Record<OptionName, string>>>
  /** How an option is written for this command, where that differs. */
  readonly flags?: Partial<Readonly<Record<OptionName, string>>>
  /** Of codes that mean the same for many commands, `same` is the text. */
  readonly exitCodes: Partial<Readonly<Record<ExitCode, string>>>
  readonly examples: readonly string[]
}

export const WRONG_USE = { [EXIT.usage]: 'wrong use, or a configuration that cannot be used' }
export const MALFORMED = {
  [EXIT.malformed]: 'what was asked for is no reference, platform or name',
}
const NOT_FOUND = {
  [EXIT.notFound]: 'not found: each registry that may have it was asked, and has none',
}
export const REFUSED = {
  [EXIT.refused]: 'refused: credentials are missing or do not suffice, or it may not be asked',
}
export const UNREACHABLE = {
  [EXIT.unreachable]:
    'no answer: a registry, the service or the runtime is down, too slow or wants a pause',
}
/** Of commands that ask a registry for something which it may have. */
export const OF_REGISTRIES = {
  ...WRONG_USE,
  ...MALFORMED,
  ...NOT_FOUND,
  ...REFUSED,
  ...UNREACHABLE,
}
/** Of commands that ask the service or the runtime. */
export const OF_NODE = { ...WRONG_USE, ...REFUSED, ...UNREACHABLE }

export const CONFIG = `the service's configuration; default: /etc/image-resolver.yaml, else
/etc/image-cri-shim.yaml, else the built-in defaults`
const PORTOSHIM = `a portoshim.yaml whose registries count too; default: the one that
the configuration names`

/** How options are written, and what they mean for every command. */
export const FLAGS: Partial<Readonly<Record<OptionName, readonly [flag: string, text?: string]>>> =
  {
    config: ['-f, --config FILE', CONFIG],
    portoshim: ['    --portoshim FILE', PORTOSHIM],
    json: ['    --json'],
    platform: [
      '    --platform OS/ARCH',
      "for example linux/arm64 or linux/arm/v7; default: this machine's",
    ],
    explain: [
      '    --explain',
      `show every candidate: which requests were sent, what came back, how long
it took, and why one was chosen and the others passed over`,
    ],
    all: ['    --all', 'ask every registry, also after one answered, and show what each says'],
    node: ['    --node', 'also say whether the container runtime here has the image'],
    quiet: ['-q, --quiet'],
    format: ['    --format TEMPLATE'],
    check: ['    --check', 'do not ask the service, only the registries'],
    fleet: [
      '    --fleet',
      `the nodes that share the store of cache.shared and were seen in the last
hour: their version, and which of them are configured alike`,
    ],
    limit: ['    --limit N', 'at most so many; default: 10000'],
    'dry-run': ['    --dry-run', 'print what would be done'],
    domain: ['    --domain DOMAIN'],
    write: ['    --write DIR'],
    server: [
      '    --server URL',
      `ask this running service, with its registries and credentials; default:
the registries, from here`,
    ],
    'token-file': ['    --token-file FILE', 'holds the token of --server; default: none is sent'],
    force: ['    --force', 'also replace files that another program wrote'],
    direct: ['    --direct', 'no file leads to this service'],
    diff: ['    --diff', 'print what would change, for patch and git apply'],
    lock: [
      '    --lock FILE',
      `take digests from this file, and add to it what it has not: the next
run writes the same, whatever tags point at by then; default: none`,
    ],
    'log-format': [
      '    --log-format text|json',
      'of the log; default: text on a terminal, else json',
    ],
    kubelet: [
      '    --kubelet images|all',
      `which calls of kubelet lead to the service: those of images, or every
one; default: images`,
    ],
    'restart-kubelet': [
      '    --restart-kubelet',
      'restart kubelet where it has to be; default: say the command',
    ],
    'runtime-endpoint': [
      '    --runtime-endpoint SOCKET',
      `the runtime's socket; default: what kubelet uses, else containerd's,
CRI-O's or cri-dockerd's, the first found`,
    ],
    root: [
      '    --root DIR',
      `the root of another system: its files alone, and no systemctl; default: /`,
    ],
    chroot: ['    --chroot', 'run systemctl in --root DIR, by chroot'],
    watch: [
      '    --watch SECONDS',
      `stay beside the service, and put the node back when it is not ready for
so long; SIGTERM ends it`,
    ],
    secrets: [
      '    --secrets DIR',
      `files that go to /etc/image-resolver/secrets, as a Secret is mounted`,
    ],
    wait: ['    --wait SECONDS', 'how long the service may take to be ready; default: 60'],
    offline: ['    --offline', 'ask no registry, only the lock file'],
    update: ['    --update', 'move what is pinned on to what its tag points at now'],
    'fail-on': [
      '    --fail-on STATES',
      `the states that end it with 1, with commas between, or nothing; also
moved and platform; default: gone,denied,node-only,unknown,platform`,
    ],
    plan: [
      '    --plan TOOL',
      `print instead what copies the images that configured registries lack:
for skopeo, crane, regsync, hauler, zarf or oc-mirror; default: none`,
    ],
    resume: [
      '    --resume FILE',
      `keep what registries answer in this file until all have answered, and ask
for nothing again that it has of the last day; default: none`,
    ],
    path: [
      '    --path PATH',
      `one more place of an image in YAML: spec.image, spec.*.image, **.image;
may be given several times; default: none`,
    ],
    arg: [
      '    --arg NAME',
      `a container's argument that is an image: --NAME=IMAGE or --NAME IMAGE;
may be given several times; default: none`,
    ],
  }
