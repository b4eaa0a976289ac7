import {
  CONFIG,
  MALFORMED,
  NOT_FOUND,
  PORTOSHIM,
  REFUSED,
  UNREACHABLE,
  WRONG,
} from './help-options.ts'

export const PULL = `Usage: image-resolver pull REF [options]

Pulls REF through the running service, as a kubelet without credentials does, and prints the
runtime's ID of the image. It asks the service at its \`shim:\` socket.

Options:
${CONFIG}
      --json              {"imageId": ...}

Exit codes:
  0  pulled
  1  not pulled, in another way than those below
${WRONG}
${MALFORMED}
${NOT_FOUND}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver pull nginx:1.27
`

export const IMAGES = `Usage: image-resolver images [options]

Lists the images of this node, asking the running service: one line for each name, with the
digest that it stands for, the image's ID and its size. The first 12 characters of an ID do for
\`rmi\`; --json has everything in full.

Options:
${CONFIG}
  -q, --quiet             print the IDs alone, one a line
      --json              the body of GET /images:
                          {images: [{imageId, references, sizeBytes, pinned}]}

Exit codes:
  0  listed
  1  not listed, in another way than those below
${WRONG}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver images --json | jq -r '.images[].references[]'
`

export const RMI = `Usage: image-resolver rmi IMAGE ... [options]

Removes images from this node, by any of their names or by ID, with all their names. What is not
there counts as removed. It asks the service at its \`shim:\` socket.

Options:
${CONFIG}

Exit codes:
  0  what was named is not there any more
  1  it may be there still
${WRONG}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver rmi nginx:1.27 quay.io/team/app:2
`

export const ADOPT = `Usage: image-resolver adopt [options]

For nodes that move from image-cri-shim: gives every image of this node that has a name of a
configured registry the name that this one stands for, so that pods find it without a registry.
Adds names in containerd, never takes one away or moves one. The service need not run.

A name's domain is known where the entry's \`path\` has {domain}, or its \`upstreams\` are of one
domain. For all other entries --domain says it: docker.io, if the registry holds nothing else.

Options:
${CONFIG}
      --dry-run           print what would be done
      --domain DOMAIN     whose images those registries hold that do not say so themselves;
                          default: such images are left as they are
      --json              [{imageId, from, name?, outcome, reason?}]

Exit codes:
  0  done
  1  the runtime lets no client name its images
${WRONG}
${REFUSED}
${UNREACHABLE}

Examples:
  image-resolver adopt --dry-run
  image-resolver adopt --domain docker.io
`

export const CONTAINERD_HOSTS = `Usage: image-resolver containerd-hosts [options]

Prints or writes the hosts.toml files by which containerd pulls through this service's /v2/
(\`mirror.enabled\`): one for each domain that a configured registry serves, and _default where one
serves everything. Pods keep the names that they have. With --direct it is only what containerd
has to know of registries of plain http or with TLS settings of their own, for pulls by the CRI
socket. Files that somebody else wrote are not replaced.

Options:
${CONFIG}
${PORTOSHIM}
      --write DIR         write DIR/DOMAIN/hosts.toml; DIR is containerd's \`config_path\`;
                          default: print them
      --server URL        where containerd reaches this service; default: \`http.listen\`
      --direct            no file leads to this service
      --force             also replace files that somebody else wrote

Exit codes:
  0  printed, or written
  1  not written
${WRONG}
${REFUSED}

Example:
  image-resolver containerd-hosts --write /etc/containerd/certs.d
`
