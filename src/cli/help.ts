export const VERSION = '0.1.0'

const GENERAL = `image-resolver: which image is this reference, exactly, and where can it be pulled from?

Usage:
  image-resolver [--config FILE]              run the service: CRI shim and HTTP API
  image-resolver resolve REF [--json]         answer once, with the same configuration
  image-resolver pull REF                     pull through the running service, as kubelet does
  image-resolver images [--json]              the images of this node, with all their names
  image-resolver rmi IMAGE ...                remove images, by any name or ID
  image-resolver adopt [--dry-run]            name what another shim left under mirrors' names
  image-resolver containerd-hosts             containerd's hosts.toml files, to pull through /v2/
  image-resolver parse [--json] [REF ...]     take references apart, asking nobody
  image-resolver config check                 print the effective configuration, or its mistakes

Options:
  -f, --config FILE   the configuration; default: /etc/image-resolver.yaml, else
                      /etc/image-cri-shim.yaml, else the defaults. --file means the same.
      --portoshim FILE
                      a portoshim.yaml whose registries are read too
  -h, --help          this text; after a command, its own
  -v, --version       the version

Try it:
  image-resolver resolve nginx:latest
  curl 'http://127.0.0.1:9430/resolve?ref=nginx:latest'
`

const RESOLVE = `Usage: image-resolver resolve REF [options]

Asks the configured registries, in order of priority, which image REF is, without a running
service and without pulling anything. REF is what you would write in a pod: nginx,
quay.io/team/app:1.2, nginx@sha256:...

Options:
  -f, --config FILE       the configuration; as for the service
      --portoshim FILE    a portoshim.yaml; as for the service
      --platform OS/ARCH  for example linux/arm64 or linux/arm/v7; default: this machine's
      --node              also say whether the container runtime here has the image
      --explain           show the whole story: who was asked what, what came back, how long it
                          took, and why one was chosen and the others passed over
      --all               ask every registry, also after one answered, and show what each says
      --json              the answer of GET /resolve

Exit code: 0 found, 1 not found or not to be found out, 2 wrong use or a bad configuration.
`

const PULL = `Usage: image-resolver pull REF [options]

Pulls REF through the running service, as a kubelet without credentials does, and prints the
runtime's ID of the image.

Options:
  -f, --config FILE   the service's configuration; its \`shim:\` says where the service is
      --json          {"imageId": ...}

Exit code: 0 pulled, 1 not, 2 wrong use or a bad configuration.
`

const IMAGES = `Usage: image-resolver images [options]

Lists the images of this node, asking the running service: ID, size and every name.

Options:
  -f, --config FILE   the service's configuration; its \`shim:\` says where the service is
      --json          [{imageId, references, sizeBytes, pinned}]
`

const RMI = `Usage: image-resolver rmi IMAGE ... [options]

Removes images from this node, by any of their names or by ID, with all their names. What is not
there counts as removed.

Options:
  -f, --config FILE   the service's configuration; its \`shim:\` says where the service is
`

const ADOPT = `Usage: image-resolver adopt [options]

For nodes that move from image-cri-shim: gives every image of this node that has a name of a
configured registry the name that this one stands for, so that pods find it without a registry.
Adds names in containerd, never takes one away or moves one. The service need not run.

A name's domain is known where the entry's \`path\` has {domain}, or its \`upstreams\` are of one
domain. For all other entries --domain says it: docker.io, if the registry holds nothing else.

Options:
  -f, --config FILE    the service's configuration: \`cri:\` and the registries
      --dry-run        print what would be done
      --domain DOMAIN  whose images those registries hold that do not say so themselves
      --json           [{imageId, from, name?, outcome, reason?}]

Exit code: 0 done, 1 not, 2 wrong use or a bad configuration.
`

const CONTAINERD_HOSTS = `Usage: image-resolver containerd-hosts [options]

Prints or writes the hosts.toml files by which containerd pulls through this service's /v2/
(\`mirror.enabled\`): one for each domain that a configured registry serves, and _default where one
serves everything. Pods keep the names that they have. Files that somebody else wrote are not
replaced.

Options:
  -f, --config FILE    the service's configuration
      --portoshim FILE a portoshim.yaml; as for the service
      --write DIR      write DIR/DOMAIN/hosts.toml; DIR is containerd's \`config_path\`
      --server URL     where containerd reaches this service; default: \`http.listen\`
      --force          also replace files that somebody else wrote

Exit code: 0 done, 1 not, 2 wrong use or a bad configuration.
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
  pull: PULL,
  images: IMAGES,
  rmi: RMI,
  adopt: ADOPT,
  'containerd-hosts': CONTAINERD_HOSTS,
  parse: PARSE,
  'config check': CONFIG_CHECK,
  serve: SERVE,
}

/** @param command '' for the overview */
export function helpFor(command: string): string {
  return HELP[command] ?? GENERAL
}
