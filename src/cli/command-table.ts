import {
  CONFIGURED,
  type Command,
  MALFORMED,
  MANY,
  OF_NODE,
  OF_REGISTRIES,
  REFUSED,
  UNREACHABLE,
  WRONG_USE,
} from './command.ts'
import { EXIT } from './exit-codes.ts'
import { FILE_COMMANDS } from './file-commands.ts'
import { NODE_COMMANDS } from './node-commands.ts'
import { filesOf, UsageError, type Values } from './options.ts'

/** By name; some are of two words. The work of each is loaded when it is run: the service needs none of it. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  serve: {
    usage: '[serve] [options]',
    about: `Runs the service until SIGTERM or SIGINT: the CRI shim on the socket \`shim:\`, in front of the
runtime at \`cri:\`, and the HTTP API on \`http.listen\`. Without a runtime it serves HTTP alone.
Logs are lines on standard error: JSON, or text on a terminal. The journal gets their priority.`,
    options: [...CONFIGURED, 'log-format'],
    exitCodes: {
      [EXIT.done]: 'a signal ended it',
      [EXIT.failed]: 'it could not start, or a fault ended it',
      ...WRONG_USE,
    },
    examples: ['--config /etc/image-resolver.yaml'],
    run: async (_words, values, context) =>
      context.serve({ ...filesOf(values), ...logFormatOf(values) }),
  },
  resolve: {
    usage: 'resolve REF ... [options]',
    words: {
      min: 1,
      max: MANY,
      problem: 'resolve takes a reference, as in nginx:latest, or several, or - for standard input',
    },
    about: `Asks the configured registries, in order of priority, which image REF is, without a running
service, without a cache, and without pulling anything. REF is what you would write in a pod:
nginx, quay.io/team/app:1.2, nginx@sha256:... Several are asked for at the same time, and printed
in their order; - reads them from standard input, one a line. Each takes 20 s at most.

Without a configuration file it asks as crane and skopeo do: with what docker login or podman
login have left, and plain http for a registry on localhost.`,
    options: [...CONFIGURED, 'platform', 'node', 'explain', 'all', 'quiet', 'format', 'json'],
    meanings: {
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
    run: async (...given) => (await import('./commands/resolve.ts')).resolveCommand(...given),
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
    options: [...CONFIGURED, 'check', 'json'],
    meanings: {
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
    run: async (...given) =>
      (await import('./commands/registry-status.ts')).registryStatusCommand(...given),
  },
  'registry images': {
    usage: 'registry images [NAME] [options]',
    words: { min: 0, max: 1, problem: 'registry images takes one name of a registry, or none' },
    about: `Lists the repositories that a registry has, by its own catalogue; without NAME those of all that
are configured. NAME is as in \`registry status\`. Many public registries have no catalogue. The
running service is asked; where none answers, the registry itself, 10 s at most for a page.`,
    options: [...CONFIGURED, 'limit', 'json'],
    meanings: {
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
    run: async (...given) =>
      (await import('./commands/registry-names.ts')).registryImagesCommand(...given),
  },
  'registry tags': {
    usage: 'registry tags NAME REPOSITORY [options]',
    words: {
      min: 2,
      max: 2,
      problem: 'registry tags takes the name of a registry and a repository there',
    },
    about: `Lists the tags of a repository, one a line. NAME and REPOSITORY are as \`registry images\` prints
them. The running service is asked; where none answers, the registry itself.`,
    options: [...CONFIGURED, 'limit', 'json'],
    meanings: { json: 'the body of GET /registries/NAME/tags' },
    exitCodes: {
      [EXIT.done]: 'listed',
      [EXIT.failed]: 'the registry did not say, in another way than those below',
      ...OF_REGISTRIES,
    },
    examples: ['registry tags sealos.hub:5000 library/nginx'],
    run: async (...given) =>
      (await import('./commands/registry-names.ts')).registryTagsCommand(...given),
  },
  pull: {
    usage: 'pull REF [options]',
    words: { min: 1, max: 1, problem: 'pull takes one reference, as in nginx:latest' },
    about: `Pulls REF through the running service, as a kubelet without credentials does, and prints the
runtime's ID of the image. It asks the service at its \`shim:\` socket.`,
    options: ['config', 'file', 'json'],
    meanings: { json: '{"imageId": ...}' },
    exitCodes: {
      [EXIT.done]: 'pulled',
      [EXIT.failed]: 'not pulled, in another way than those below',
      ...OF_REGISTRIES,
    },
    examples: ['pull nginx:1.27'],
    run: async (...given) => (await import('./commands/images.ts')).pullCommand(...given),
  },
  images: {
    about: `Lists the images of this node, asking the running service: one line for each name, with the
digest that it stands for, the image's ID and its size. The first 12 characters of an ID do for
\`rmi\`; --json has everything in full.`,
    options: ['config', 'file', 'quiet', 'json'],
    meanings: {
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
    run: async (...given) => (await import('./commands/images.ts')).imagesCommand(...given),
  },
  rmi: {
    usage: 'rmi IMAGE ... [options]',
    words: { min: 1, max: MANY, problem: 'rmi takes the name or ID of an image' },
    about: `Removes images from this node, by any of their names or by ID, with all their names. What is not
there counts as removed. It asks the service at its \`shim:\` socket.`,
    options: ['config', 'file'],
    exitCodes: {
      [EXIT.done]: 'what was named is not there any more',
      [EXIT.failed]: 'it may be there still',
      ...OF_NODE,
      ...MALFORMED,
    },
    examples: ['rmi nginx:1.27 quay.io/team/app:2'],
    run: async (...given) => (await import('./commands/images.ts')).removeCommand(...given),
  },
  stats: {
    about: `Shows what the running service has counted since its start: how many questions the cache
answered, how long answers took, how pulls ended. It asks the service at \`http.listen\`. With --fleet
it asks the store that nodes share, and no service need run.`,
    options: [...CONFIGURED, 'fleet', 'json'],
    meanings: { json: 'the body of GET /stats, or a list of the nodes' },
    exitCodes: {
      [EXIT.done]: 'shown',
      [EXIT.failed]: 'the service did not say',
      ...OF_NODE,
    },
    examples: ['stats --json | jq .cache.hitRate', 'stats --fleet'],
    run: async (...given) => (await import('./commands/stats.ts')).statsCommand(...given),
  },
  ...NODE_COMMANDS,
  ...FILE_COMMANDS,
  parse: {
    usage: 'parse [REF ...] [--json]',
    words: { min: 0, max: MANY, problem: '' },
    about: `Takes references apart by the distribution grammar, without the network. Without REF it reads one
reference a line from standard input.`,
    options: ['json'],
    meanings: {
      json: `one JSON object a line:
{input, ok, error?, reference, domain, path, tag, digest, familiar}`,
    },
    exitCodes: {
      [EXIT.done]: 'all are references; with --json also when one is not',
      [EXIT.usage]: 'wrong use',
      [EXIT.malformed]: 'one is no reference',
    },
    examples: ['parse nginx quay.io/team/app:1.2'],
    run: async (...given) => (await import('./commands/parse.ts')).parseCommand(...given),
  },
  'config check': {
    about: `Prints the effective configuration, every default filled in and secrets hidden, or every mistake
as FILE:LINE: field: message. Warnings, also about files that it names, go to standard error.`,
    options: [...CONFIGURED],
    exitCodes: { [EXIT.done]: 'usable, perhaps with warnings', ...WRONG_USE },
    examples: ['config check --config /etc/image-resolver.yaml'],
    run: async (...given) => (await import('./commands/config.ts')).configCheckCommand(...given),
  },
}

/** @returns undefined: there is none, also of a name that every object has, as `constructor` */
export function commandOf(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
}

function logFormatOf(values: Values): { readonly logFormat?: 'text' | 'json' } {
  const format = values['log-format']
  if (format === undefined) return {}
  if (format === 'text' || format === 'json') return { logFormat: format }
  throw new UsageError('--log-format is text or json')
}
