import type { ImagesOnNode } from '../world.ts'

export interface NodeCommandOptions {
  readonly open: () => Promise<ImagesOnNode>
  readonly json: boolean
  readonly stdout: { write(text: string): unknown }
}

/** Prints the node's images, one a line and all their names below; `json`: as one array. */
export async function imagesCommand({ open, json, stdout }: NodeCommandOptions): Promise<0> {
  const node = await open()
  try {
    const images = await node.list()
    if (json) stdout.write(`${JSON.stringify(images, null, 2)}\n`)
    else {
      for (const { imageId, references, sizeBytes } of images) {
        const names = references.map((reference) => `  ${reference}\n`)
        stdout.write(`${imageId}  ${sizeBytes} bytes\n${names.join('')}`)
      }
    }
    return 0
  } finally {
    node.close()
  }
}

/** Pulls an image as kubelet would, and prints its ID. */
export async function pullCommand(
  image: string,
  { open, json, stdout }: NodeCommandOptions,
): Promise<0> {
  const node = await open()
  try {
    const imageId = await node.pull(image)
    stdout.write(json ? `${JSON.stringify({ imageId })}\n` : `${imageId}\n`)
    return 0
  } finally {
    node.close()
  }
}

/** Removes images by any name or ID, with all their names. What is not there is a success. */
export async function removeCommand(
  images: readonly string[],
  { open }: Pick<NodeCommandOptions, 'open'>,
): Promise<0> {
  const node = await open()
  try {
    for (const image of images) await node.remove(image)
    return 0
  } finally {
    node.close()
  }
}
