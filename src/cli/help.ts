import { ADOPT, CONTAINERD_HOSTS, IMAGES, PULL, RMI } from './help-node.ts'
import {
  REGISTRY,
  REGISTRY_IMAGES,
  REGISTRY_STATUS,
  REGISTRY_TAGS,
  RESOLVE,
  STATS,
} from './help-registry.ts'

export const VERSION = '0.1.0'

const GENERAL = `image-resolver: which image is this reference, exactly, and where can it be pulled from?

Usage:
  image-resolver [--config FILE]              run the service: CRI shim and HTTP API

Ask the registries, with or without a running service:
  image-resolver resolve REF                  which image is it, and who has it?
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
  -f, --config FILE   the configuration; default: /etc/image-resolver.yaml, else
                      /etc/image-cri-shim.yaml, else the defaults. --file means the same.
      --portoshim FILE
                      a portoshim.yaml whose registries are read too
      --json          for scripts; most commands have it, and print what the HTTP API answers
  -h, --help          this text; after a command, its own
  -v, --version       the version

Exit code: 0 done, 1 the answer is no, 2 wrong use or a bad configuration. Tables have colours on a
terminal, unless NO_COLOR is set.

Try it:
  image-resolver resolve nginx:latest
  curl 'http://127.0.0.1:9430/resolve?ref=nginx:latest'
`

const PARSE = `Usage: image-resolver parse [--json] [REF ...]

Takes references apart by the distribution grammar, asking nobody. Without REF it reads one
reference a line from standard input.

Options:
      --json   one JSON object a line:
               {input, ok, error?, reference, domain, path, tag, digest, familiar}

Exit code: 0; without --json 1 when a reference is not valid.
`

const CONFIG_CHECK = `Usage: image-resolver config check [--config FILE] [--portoshim FILE]

Prints the effective configuration, every default filled in and secrets hidden, or every mistake
as FILE:LINE: path: message. Warnings, also about files that it names, go to standard error.

Exit code: 0 usable, 2 not usable.
`

const SERVE = `Usage: image-resolver [serve] [--config FILE]

Runs the service until SIGTERM or SIGINT: the CRI shim on the socket \`shim:\`, in front of the
runtime at \`cri:\`, and the HTTP API on \`http.listen\`. Without a runtime it serves HTTP alone.
Logs are JSON lines on standard error.

Options:
  -f, --config FILE   default: /etc/image-resolver.yaml, else /etc/image-cri-shim.yaml, else the
                      defaults. --file means the same.
      --portoshim FILE
                      a portoshim.yaml, read instead of the one that \`portoshim:\` names
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
  'config check': CONFIG_CHECK,
  serve: SERVE,
}

/** @param command '' for the overview; one that does not exist: that of its group, else the overview */
export function helpFor(command: string): string {
  return HELP[command] ?? HELP[command.replace(/ .*/s, '')] ?? GENERAL
}
