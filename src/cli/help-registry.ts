import {
  CONFIG,
  MALFORMED,
  NOT_FOUND,
  PORTOSHIM,
  REFUSED,
  UNREACHABLE,
  WRONG,
} from './help-options.ts'

export const RESOLVE = `Usage: image-resolver resolve REF ... [options]

Asks the configured registries, in order of priority, which image REF is, without a running
service, without a cache, and without pulling anything. REF is what you would write in a pod:
nginx, quay.io/team/app:1.2, nginx@sha256:... Several are asked for at the same time, and told of
in their order; - reads them from standard input, one a line. Each takes 20 s at most.

Without a configuration file it asks as crane and skopeo do: with what docker login or podman
login have left, and plain http for a registry on localhost.

Options:
${CONFIG}
${PORTOSHIM}
      --platform OS/ARCH  for example linux/arm64 or linux/arm/v7; default: this machine's
      --node              also say whether the container runtime here has the image
      --explain           show the whole story: who was asked what, what came back, how long it
                          took, and why one was chosen and the others passed over
      --all               ask every registry, also after one answered, and show what each says
  -q, --quiet             print the digest alone, one a line; the image ID where no digest is known
      --format TEMPLATE   print fields of the answer, one line each; default: all, for people.
                          {{.requested}} {{.reference}} {{.repository}} {{.imageId}} {{.digest}}
                          {{.manifestDigest}} {{.mediaType}} {{.platform}} {{.registry}}
                          {{.source}} {{.pullFrom}}; \\t is a tab, - stands for what is unknown
      --json              the answer of GET /resolve; of several, one line each as POST /resolve has

Exit codes:
  0  found
  1  failed in another way than those below, or several references in different ways
${WRONG}
${MALFORMED}
${NOT_FOUND}
${REFUSED}
${UNREACHABLE}

Examples:
  image-resolver resolve nginx:1.27 --explain       why this registry, and what the others said
  image-resolver resolve nginx:1.27 --all           do all mirrors have the same image?
  image-resolver resolve nginx --platform linux/arm64
  image-resolver resolve nginx --format {{.repository}}@{{.digest}}
                                                    the tag as a digest, to pin it
  image-resolver resolve - --quiet <images.txt      one digest a line
`

export const REGISTRY = `Usage: image-resolver registry status|images|tags [options]

The configured registries: how they do, and what they have.

  image-resolver registry status                    are they well, and how fast?
  image-resolver registry images [NAME]             the repositories of one, or of all
  image-resolver registry tags NAME REPOSITORY      the tags of a repository

Options:
  --help after one of them shows its own.

Exit codes:
  0  done
  1  a registry is not well, or did not say
${WRONG}
${MALFORMED}
${NOT_FOUND}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver registry status
`

export const REGISTRY_STATUS = `Usage: image-resolver registry status [options]

Asks every configured registry whether it is there, all at once and 5 s at most, and shows what
the running service makes of it.

  HEALTHY   it answered now; unknown: it could not be asked from here
  LATENCY   of that answer, connection and login included
  CHECKED   when it was asked
  STATE     what the service does: in use; not asked yet; left alone after failures; wants a
            pause (429); on probation, after one of these; not loaded yet; -: no service
  LEFT      how many requests it says are left, of how many

The last error stands below a registry, also of one that is well again.

Options:
${CONFIG}
${PORTOSHIM}
      --check             do not ask the service, only the registries
      --json              the body of GET /registries; \`healthy\` and \`latencyMs\` are what was
                          measured, null where that is unknown, and \`checkedAt\` is when

Exit codes:
  0  all are healthy
  1  one is not, or it is not known
${WRONG}

Examples:
  image-resolver registry status || echo 'a registry is down'
  image-resolver registry status --json | jq -r '.registries[] | select(.healthy | not).name'
`

export const REGISTRY_IMAGES = `Usage: image-resolver registry images [NAME] [options]

Lists the repositories that a registry has, by its own catalogue; without NAME those of all that
are configured. NAME is as in \`registry status\`. Many public registries have no catalogue. The
running service is asked; where none answers, the registry itself, 10 s at most for a page.

Options:
${CONFIG}
${PORTOSHIM}
      --limit N           at most so many of each registry; default: 10000
      --json              the body of GET /registries/NAME/images, one registry a line

Exit codes:
  0  listed
  1  a registry did not say; what the others said is printed
${WRONG}
${MALFORMED}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver registry images sealos.hub:5000
`

export const REGISTRY_TAGS = `Usage: image-resolver registry tags NAME REPOSITORY [options]

Lists the tags of a repository, one a line. NAME and REPOSITORY are as \`registry images\` prints
them. The running service is asked; where none answers, the registry itself.

Options:
${CONFIG}
${PORTOSHIM}
      --limit N           at most so many; default: 10000
      --json              the body of GET /registries/NAME/tags

Exit codes:
  0  listed
  1  the registry did not say, in another way than those below
${WRONG}
${MALFORMED}
${NOT_FOUND}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver registry tags sealos.hub:5000 library/nginx
`

export const STATS = `Usage: image-resolver stats [options]

Shows what the running service has counted since its start: how many questions the cache
answered, how long answers took, how pulls ended. It asks the service at \`http.listen\`.

Options:
${CONFIG}
${PORTOSHIM}
      --json              the body of GET /stats

Exit codes:
  0  shown
  1  the service did not say
${WRONG}
${REFUSED}
${UNREACHABLE}

Example:
  image-resolver stats --json | jq .cache.hitRate
`
