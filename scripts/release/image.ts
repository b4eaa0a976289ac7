import { createHash } from 'node:crypto'
import { cpSync, mkdirSync, readFileSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../test/support/program.ts'
import { BASE, PROCESSORS, USER } from './base.ts'
import type { Architecture } from './node-binary.ts'
import { type Effort, gzipCommand, inTemporaryFolder, tarCommand } from './packages.ts'
import { evenModes, type Product, write, writeFolder } from './tree.ts'

// https://github.com/opencontainers/image-spec/blob/main/image-layout.md

const NAME = 'image-resolver'
/** Where it is in the image, and where a node gets it from. */
const HOME = `opt/${NAME}`
const STATE = `var/lib/${NAME}`
const TYPE = 'application/vnd.oci.image'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

interface Layer {
  readonly compressed: Descriptor
  /** Of the tar. */
  readonly diffId: string
  readonly comment: string
}

/** One of an image's processors. */
export interface Variant {
  readonly architecture: Architecture
  /** With `bin/node` and `LICENSE`. */
  readonly node: string
  /** What Node stands on: `baseFolder`. */
  readonly base: string
}

export interface ImageOptions extends Omit<Product, 'node'> {
  readonly variants: readonly Variant[]
  readonly effort: Effort
  readonly out: string
}

/** @returns an OCI archive with an index of all variants, made without a daemon; the same bytes for the same input */
export function buildImage(options: ImageOptions): Promise<string> {
  const { epoch, out, version } = options
  return inTemporaryFolder(async (folder) => {
    const layout = join(folder, 'layout')
    mkdirSync(join(layout, 'blobs/sha256'), { recursive: true })
    const manifests: object[] = []
    for (const variant of options.variants) {
      const manifest = await writeManifest(options, variant, layout)
      manifests.push({ ...manifest, platform: platformOf(variant) })
    }
    const index = { schemaVersion: 2, mediaType: `${TYPE}.index.v1+json`, manifests }
    const annotations = { 'org.opencontainers.image.ref.name': version }
    const named = { ...writeJson(layout, index.mediaType, index), annotations }
    write(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    const top = { schemaVersion: 2, mediaType: index.mediaType, manifests: [named] }
    write(join(layout, 'index.json'), JSON.stringify(top))
    evenModes(layout)
    const file = join(out, `${NAME}-${version}-oci.tar`)
    const parts = 'blobs index.json oci-layout'
    const command = `cd "$1" && ${tarCommand(epoch)} -cf "$2" ${parts}`
    await runProgram('sh', ['-c', command, 'sh', layout, file], { LC_ALL: 'C' })
    return file
  })
}

function platformOf({ architecture }: Variant) {
  return { os: 'linux', architecture: PROCESSORS[architecture] }
}

async function writeManifest(options: ImageOptions, variant: Variant, layout: string) {
  const { epoch, root, version } = options
  const layers = await inTemporaryFolder((folder) => writeLayers(options, variant, folder, layout))
  const created = new Date(epoch * 1_000).toISOString()
  const labels = {
    'org.opencontainers.image.title': NAME,
    'org.opencontainers.image.description':
      'Which image is a reference, exactly, and where can it be pulled from?',
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.created': created,
    'image-resolver.base': BASE.map((each) => `${each.name}=${each.version}`).join(' '),
  }
  const config = {
    created,
    ...platformOf(variant),
    config: { ...containerConfig(root), Labels: labels },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ comment }) => ({ created, created_by: comment })),
  }
  const manifest = {
    schemaVersion: 2,
    mediaType: `${TYPE}.manifest.v1+json`,
    config: writeJson(layout, `${TYPE}.config.v1+json`, config),
    layers: layers.map(({ compressed }) => compressed),
    annotations: labels,
  }
  return writeJson(layout, manifest.mediaType, manifest)
}

/** The program without its launcher, which is for a shell. A heap of another size is asked for by NODE_OPTIONS. */
export function containerConfig(root: string) {
  const launcher = readFileSync(join(root, 'bin', NAME), 'utf8')
  const [, flags = '', heap = ''] = /^flags='(.*)'\nheap='(.*)'$/m.exec(launcher) ?? []
  const allocator = launcher.matchAll(/\$\{(MALLOC_\w+)-(\d+)\}/g)
  return {
    User: `${USER}:${USER}`,
    ExposedPorts: { '9430/tcp': {} },
    // For chroot, which an installation on the node runs.
    Env: [
      `NODE_OPTIONS=${heap}`,
      ...[...allocator].map(([, name, value]) => `${name}=${value}`),
      'PATH=/usr/sbin:/usr/bin',
    ],
    Entrypoint: [`/${HOME}/node`, ...flags.split(' '), `/${HOME}/dist/app/main.js`],
    WorkingDir: '/',
  }
}

/** What changes least comes first, so that nodes have it already. */
async function writeLayers(
  options: ImageOptions,
  { architecture, base, node }: Variant,
  folder: string,
  layout: string,
): Promise<readonly Layer[]> {
  const [below, tree] = [join(folder, 'below'), join(folder, 'tree')]
  cpSync(base, below, { recursive: true, verbatimSymlinks: true })
  mkdirSync(join(below, STATE), { recursive: true })
  writeFolder({ ...options, node }, join(tree, HOME))
  const binary = join(folder, 'binary')
  mkdirSync(join(binary, HOME), { recursive: true })
  renameSync(join(tree, HOME, 'node'), join(binary, HOME, 'node'))
  mkdirSync(join(tree, 'etc'))
  cpSync(join(options.root, 'deploy/container.yaml'), join(tree, 'etc/image-resolver.yaml'))
  for (const each of [below, binary, tree]) evenModes(each)
  const tar = tarCommand(options.epoch)
  const own = tar.replaceAll('=0 ', `=${USER} `)
  const commands = {
    [`libraries of Debian for ${PROCESSORS[architecture]}`]: `chmod 1777 tmp && ${tar} --exclude=${STATE} -cf "$2" * && ${own} --mode=0700 -rf "$2" ${STATE}`,
    'Node.js': `${tar} -cf "$2" *`,
    [`${NAME} ${options.version}`]: `${tar} -cf "$2" *`,
  }
  const folders = [below, binary, tree]
  const layers: Layer[] = []
  for (const [index, [comment, command]] of Object.entries(commands).entries()) {
    const [file, packed] = [join(folder, 'layer.tar'), join(folder, 'layer.tar.gz')]
    const script = `set -e; cd "$1"; ${command}; ${gzipCommand(options.effort)} <"$2" >"$3"`
    const args = ['-c', script, 'sh', folders[index] ?? '', file, packed]
    await runProgram('sh', args, { LC_ALL: 'C' })
    const diffId = digestOf(readFileSync(file))
    const digest = digestOf(readFileSync(packed))
    const { size } = statSync(packed)
    renameSync(packed, blob(layout, digest))
    const mediaType = `${TYPE}.layer.v1.tar+gzip`
    layers.push({ compressed: { mediaType, digest, size }, diffId, comment })
  }
  return layers
}

function writeJson(layout: string, mediaType: string, value: object): Descriptor {
  const bytes = Buffer.from(JSON.stringify(value))
  const digest = digestOf(bytes)
  write(blob(layout, digest), bytes)
  return { mediaType, digest, size: bytes.length }
}

function blob(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'))
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}
