import type { ImageRecord, ImagesResponse } from '../../../api/v1/images.ts'
import { parseNormalized } from '../../reference/reference.ts'
import type { Run } from '../command.ts'
import type { ImagesOnNode } from '../context.ts'
import { fileOf, onlyOne } from '../options.ts'
import { formatSize, print, type Row, table, visible, withProgress } from '../output.ts'

const COLUMNS = [
  { title: 'NAME' },
  { title: 'DIGEST' },
  { title: 'IMAGE ID' },
  { title: 'SIZE', right: true },
] as const
/** As many as runtimes take for the whole digest. */
const SHORT_CHARACTERS = 12

/**
 * Prints the node's images, one of their names a line; `--json`: the body of `GET /images`; `--quiet`: the ID
 * of each image.
 */
export const imagesCommand: Run = async (_words, values, context) => {
  onlyOne(values, ['json', 'quiet'])
  const node = await context.node({ file: fileOf(values) })
  try {
    const images = await withProgress('the service', node.list(), context)
    if (values.quiet) {
      context.stdout.write(images.map(({ imageId }) => `${visible(imageId)}\n`).join(''))
      return 0
    }
    const body: ImagesResponse = { images: [...images] }
    const rows = images.flatMap(toRows).sort(byName)
    print(context, values.json, body, (colors) => table(COLUMNS, rows, colors))
    return 0
  } finally {
    node.close()
  }
}

/**
 * Pulls an image as kubelet would, and prints its ID.
 *
 * @throws ResolveError NAME_INVALID for what is no reference, without asking the service
 */
export const pullCommand: Run = async ([image = ''], values, context) => {
  parseNormalized(image)
  const node = await context.node({ file: fileOf(values) })
  try {
    let layers: Layers
    const far = (): string => {
      // Shown the next time, so that nothing is drawn after the answer.
      void node.layers(image).then((found) => {
        layers = found
      })
      return `still waiting for the pull of ${image}${layersText(layers)}`
    }
    const imageId = await withProgress(far, node.pull(image), context)
    context.stdout.write(values.json ? `${JSON.stringify({ imageId })}\n` : `${imageId}\n`)
    return 0
  } finally {
    node.close()
  }
}

type Layers = Awaited<ReturnType<ImagesOnNode['layers']>>

function layersText(layers: Layers): string {
  if (layers === undefined) return ''
  const { bytes, done, total, totalBytes } = layers
  return `: ${formatSize(bytes)} of ${formatSize(totalBytes)}, ${done} of ${total} layers`
}

/** An ID, or its beginning. */
const IMAGE_ID = /^(?:sha256:)?[0-9a-f]{1,64}$/

/**
 * Removes images by any name or ID, with all their names. What is not there is a success.
 *
 * @throws ResolveError NAME_INVALID for what is neither, before any image is removed
 */
export const removeCommand: Run = async (images, values, context) => {
  for (const image of images) if (!IMAGE_ID.test(image)) parseNormalized(image)
  const node = await context.node({ file: fileOf(values) })
  try {
    for (const image of images) await withProgress('the service', node.remove(image), context)
    return 0
  } finally {
    node.close()
  }
}

/** A digest stands beside the tags of its repository; without any it has a line of its own. */
function toRows({ imageId, references, sizeBytes }: ImageRecord): readonly Row[] {
  const tags = references.filter((name) => !name.includes('@'))
  const digests = references.filter((name) => name.includes('@')).map(splitDigest)
  const tagged = tags.map((name) => {
    const { digest } = digests.find(({ repository }) => repository === repositoryOf(name)) ?? {}
    return [name, digest]
  })
  const untagged = digests
    .filter(({ repository }) => !tags.some((name) => repositoryOf(name) === repository))
    .map(({ repository, digest }) => [repository, digest])
  const names = [...tagged, ...untagged]
  const shown = names.length === 0 ? [[undefined, undefined]] : names
  return shown.map(([name = '-', digest]) => ({
    cells: [
      name,
      digest === undefined ? '-' : short(digest),
      short(imageId),
      formatSize(sizeBytes),
    ],
  }))
}

function splitDigest(name: string): { readonly repository: string; readonly digest: string } {
  const [repository = '', digest = ''] = name.split('@', 2)
  return { repository, digest }
}

/** Without the tag: a colon further left belongs to a port. */
function repositoryOf(name: string): string {
  return name.replace(/:[^:/]*$/, '')
}

function short(id: string): string {
  return id.replace(/^sha256:/, '').slice(0, SHORT_CHARACTERS)
}

function byName({ cells: [one = ''] }: Row, { cells: [other = ''] }: Row): number {
  return String(one) < String(other) ? -1 : 1
}
