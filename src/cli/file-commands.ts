import { ASKING, type Command, MALFORMED, MANY, OF_REGISTRIES, WRONG_USE } from './command.ts'
import { EXIT } from './exit-codes.ts'

/** What reads the files in which images are named. */
export const FILE_COMMANDS: Readonly<Record<string, Command>> = {
  check: {
    usage: 'check [FILE ...] [options]',
    words: { min: 0, max: MANY, problem: '' },
    about: `Asks every configured registry and the origin for the images that files name, or, without files,
for those that pods of this node use: before the node dies, and with it what only it has. Files are
read as pin reads them. No layer is asked for: it is a HEAD for each image and registry, and a GET
where that is refused. A registry that answers 429 gets the pause that it wants, up to a minute, and
then one question at a time; what it goes on refusing is unknown, as is what was not answered.

  everywhere     every place has it
  partly         its origin and some configured registries, not all
  private-only   configured registries, not its origin
  origin-only    its origin, no configured registry
  node-only      no registry; another node would not get it
  gone           no registry: each said so
  denied         no registry that the credentials suffice for
  different      its tag points at different images
  unknown        a registry did not answer

Beside these, moved: this node has another image by its tag than the registries.`,
    options: [...ASKING, 'all', 'platform', 'fail-on', 'plan', 'resume', 'path', 'arg', 'json'],
    values: { platform: 'LIST' },
    meanings: {
      all: 'every image of this node, used or not',
      platform: `linux/amd64,linux/arm64: an image has to be there for each of these;
one GET more for each image; default: not looked at`,
      json: 'every image with its state and what each place said, and the requests sent',
    },
    exitCodes: {
      [EXIT.done]: 'none is in a state of --fail-on',
      [EXIT.failed]: 'some are, or a file is no YAML',
      ...WRONG_USE,
      ...MALFORMED,
      [EXIT.unreachable]: 'some are unknown, and that is all',
    },
    examples: [
      'check                               the images of this node',
      'check deploy/ --platform linux/amd64,linux/arm64 --fail-on gone,denied,platform',
      'check --all --resume /var/tmp/check.answers',
      'check deploy/ --plan skopeo | sh    copy what the registries here lack',
    ],
    run: async (...given) => (await import('./commands/check.ts')).checkCommand(...given),
  },
  pin: {
    usage: 'pin FILE ... [--write | --diff | --check] [options]',
    words: { min: 1, max: MANY, problem: 'pin takes files or folders, or - for standard input' },
    about: `Writes the images of files as name:tag@sha256:..., and changes nothing else: comments, order,
quotes and line ends stay. Without --write, --diff or --check it prints one file, pinned.

Read are Kubernetes objects of every kind (containers, init and ephemeral containers, image volumes,
also in custom resources), kustomizations, values of Helm charts (repository, tag, digest), compose
files, Dockerfiles, and plain lists. Of a folder: YAML and Dockerfiles. Templates and variables are
passed over, with their place. A file with a mistake, or with an image that cannot be found, is not
written.`,
    options: [
      ...ASKING,
      'write',
      'check',
      'diff',
      'update',
      'lock',
      'offline',
      'platform',
      'path',
      'arg',
      'json',
    ],
    values: { write: '' },
    meanings: {
      write: 'write the files, each in one step',
      check: 'change nothing; fail where an image is not pinned, or its tag has moved',
      platform: 'pin the image of one platform; default: the index of all',
      json: 'every place with its file, line, state and digest',
    },
    exitCodes: {
      [EXIT.done]: 'all are pinned',
      [EXIT.failed]: '--check found something, a file is no YAML, or failures differ',
      ...OF_REGISTRIES,
    },
    examples: [
      'pin deploy/ --write                 once, and whenever tags were changed',
      'pin deploy/ --check                 in CI; annotates pull requests on GitHub',
      'pin deploy/ --write --update        move on to what the tags point at now',
      'pin app.yaml --diff --lock images.lock.yaml',
      'pin - <rendered.yaml | kubectl apply -f -',
    ],
    run: async (...given) => (await import('./commands/pin.ts')).pinCommand(...given),
  },
  drift: {
    usage: 'drift [FILE ...] [options]',
    words: { min: 0, max: MANY, problem: '' },
    about: `Says which pinned images have another digest by their tag today. Files are read as pin reads
them; without any, what the lock file has is looked up.`,
    options: [...ASKING, 'lock', 'platform', 'path', 'arg', 'json'],
    meanings: {
      lock: 'a lock file of pin, where no files are given; default: none',
      json: 'every place with its file, line, state and both digests',
    },
    exitCodes: {
      [EXIT.done]: 'none has moved',
      [EXIT.failed]: 'some have moved, or failures differ',
      ...OF_REGISTRIES,
    },
    examples: ['drift deploy/', 'drift --lock images.lock.yaml'],
    run: async (...given) => (await import('./commands/pin.ts')).driftCommand(...given),
  },
}
