import { ADOPT, CONTAINERD_HOSTS, IMAGES, PULL, RMI } from './help-node.ts'
import {
  CONFIG,
  MALFORMED,
  NOT_FOUND,
  PORTOSHIM,
  REFUSED,
  UNREACHABLE,
  WRONG,
} from './help-options.ts'
import {
  REGISTRY,
  REGISTRY_IMAGES,
  REGISTRY_STATUS,
  REGISTRY_TAGS,
  RESOLVE,
  STATS,
} from './help-registry.ts'
import { CONFIG_CHECK, CONFIG_GROUP, PARSE, SERVE } from './help-setup.ts'

const GENERAL = `image-resolver: which image is this reference, exactly, and where can it be pulled from?

Usage:
  image-resolver [--config FILE]              run the service: CRI shim and HTTP API

Ask the registries, with or without a running service:
  image-resolver resolve REF ...              which image is it, and who has it?
  image-resolver registry status              how the configured registries do
  image-resolver registry images [NAME]       what they have
  image-resolver registry tags NAME REPO      the tags of a repository there

Ask the running service:
  image-resolver images                       the images of this node, with all their names
  image-resolver pull REF                     pull as kubelet does
  image-resolver rmi IMAGE ...                remove images, by any name or ID
  image-resolver stats                        what it has counted

Set up a node:
  image-resolver config check                 print the effective configuration, or its mistakes
  image-resolver containerd-hosts             containerd's hosts.toml files, to pull through /v2/
  image-resolver adopt [--dry-run]            name what another shim left under mirrors' names

Ask nobody:
  image-resolver parse [REF ...]              take references apart

Options:
${CONFIG}.
                          --file means the same.
${PORTOSHIM}
      --json              for scripts; most commands have it, and print what the HTTP API answers
  -h, --help              this text; after a command, its own
  -v, --version           the version

Exit codes:
  0  done
  1  failed in another way than those below
${WRONG}
${MALFORMED}
${NOT_FOUND}
${REFUSED}
${UNREACHABLE}

Examples:
  image-resolver resolve nginx:latest
  curl 'http://127.0.0.1:9430/resolve?ref=nginx:latest'
`

const HELP: Readonly<Record<string, string>> = {
  resolve: RESOLVE,
  registry: REGISTRY,
  'registry status': REGISTRY_STATUS,
  'registry images': REGISTRY_IMAGES,
  'registry tags': REGISTRY_TAGS,
  pull: PULL,
  images: IMAGES,
  rmi: RMI,
  stats: STATS,
  adopt: ADOPT,
  'containerd-hosts': CONTAINERD_HOSTS,
  parse: PARSE,
  config: CONFIG_GROUP,
  'config check': CONFIG_CHECK,
  serve: SERVE,
}

/** @param command '' for the overview. @returns undefined when there is no such command or group */
export function helpFor(command: string): string | undefined {
  return command === '' ? GENERAL : HELP[command]
}
