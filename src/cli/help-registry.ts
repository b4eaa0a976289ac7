export const RESOLVE = `Usage: image-resolver resolve REF [options]

Asks the configured registries, in order of priority, which image REF is, without a running
service, without a cache, and without pulling anything. REF is what you would write in a pod:
nginx, quay.io/team/app:1.2, nginx@sha256:...

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

Examples:
  image-resolver resolve nginx:1.27 --explain       why this registry, and what the others said
  image-resolver resolve nginx:1.27 --all           do all mirrors have the same image?
  image-resolver resolve nginx --platform linux/arm64
  image-resolver resolve nginx --json | jq -r '.references[0].reference'
                                                    the tag as a digest, to pin it
`

export const REGISTRY = `Usage: image-resolver registry status|images|tags [options]

The configured registries: how they do, and what they have.

  image-resolver registry status                    are they well, and how fast?
  image-resolver registry images [NAME]             the repositories of one, or of all
  image-resolver registry tags NAME REPOSITORY      the tags of a repository

The service that runs with this configuration is asked, at its \`http.listen\`; where none
answers, the registries are asked from here, with the same credentials.
\`image-resolver registry status --help\` says more, and so on.
`

export const REGISTRY_STATUS = `Usage: image-resolver registry status [options]

How the configured registries do, in the order of asking: what the running service has seen of
them; without one, what each of them says now.

  HEALTHY   it would be asked now
  STATE     in use; not asked yet; failed; left alone after failures; wants a pause (429);
            on probation, after one of these
  LATENCY   of its answers, on the average
  LEFT      how many requests it says are left, of how many

The last error stands below a registry, also of one that is well again.

Options:
  -f, --config FILE       the configuration; as for the service
      --portoshim FILE    a portoshim.yaml; as for the service
      --check             ask each of them now, also when a service runs
      --json              the body of GET /registries

Exit code: 0 all are healthy, 1 one is not, 2 wrong use or a bad configuration.

Examples:
  image-resolver registry status --check || echo 'a registry is down'
  image-resolver registry status --json | jq -r '.registries[] | select(.healthy | not).name'
`

export const REGISTRY_IMAGES = `Usage: image-resolver registry images [NAME] [options]

The repositories that a registry has, by its own catalogue; without NAME those of all that are
configured. NAME is as in \`registry status\`. Many public registries have no catalogue.

Options:
  -f, --config FILE       the configuration; as for the service
      --portoshim FILE    a portoshim.yaml; as for the service
      --limit N           at most so many of each registry; default: 10000
      --json              the body of GET /registries/NAME/images, one registry a line

Exit code: 0; 1 when a registry did not say; 2 wrong use or a bad configuration.

Example:
  image-resolver registry images sealos.hub:5000
`

export const REGISTRY_TAGS = `Usage: image-resolver registry tags NAME REPOSITORY [options]

The tags of a repository, one a line. NAME and REPOSITORY are as \`registry images\` prints them.

Options:
  -f, --config FILE       the configuration; as for the service
      --portoshim FILE    a portoshim.yaml; as for the service
      --limit N           at most so many; default: 10000
      --json              the body of GET /registries/NAME/tags

Exit code: 0; 1 when the registry did not say; 2 wrong use or a bad configuration.

Example:
  image-resolver registry tags sealos.hub:5000 library/nginx
`

export const STATS = `Usage: image-resolver stats [options]

What the running service has counted since its start: how many questions the cache answered, how
long answers took, how pulls ended. It asks the service at \`http.listen\`, and needs one.

Options:
  -f, --config FILE       the service's configuration
      --portoshim FILE    a portoshim.yaml; as for the service
      --json              the body of GET /stats

Exit code: 0; 1 when no service answers; 2 wrong use or a bad configuration.

Example:
  image-resolver stats --json | jq .cache.hitRate
`
