/** Ask the scripted runtime for a list of so many images, and for so many bytes of output. */
export const IMAGES_HEADER = 'x-images'
export const OUTPUT_HEADER = 'x-output-bytes'

/** One kind of call, as the client sends it over and over. */
export interface CriCall {
  readonly name: string
  readonly path: string
  /** The message, in base64. */
  readonly request: string
  readonly metadata: Readonly<Record<string, string>>
  readonly callers: number
}

const RUNTIME = '/runtime.v1.RuntimeService'
const IMAGES = '/runtime.v1.ImageService'
const MEBIBYTE = 1024 ** 2

export function version(callers: number): CriCall {
  return call('Version', `${RUNTIME}/Version`, text(1, '0.1.0'), callers)
}

export function imageStatus(image: string, callers: number): CriCall {
  return call('ImageStatus', `${IMAGES}/ImageStatus`, field(1, text(1, image)), callers)
}

export function pullImage(image: string): CriCall {
  const request = field(1, text(1, image))
  return call('PullImage, already there', `${IMAGES}/PullImage`, request, 1)
}

export function removeImage(image: string): CriCall {
  return call('RemoveImage', `${IMAGES}/RemoveImage`, field(1, text(1, image)), 1)
}

export function listImages(images: number): CriCall {
  const listed = call(`ListImages of ${images}`, `${IMAGES}/ListImages`, Buffer.alloc(0), 1)
  return { ...listed, metadata: { [IMAGES_HEADER]: String(images) } }
}

/** What one exec, a stream of logs or a large listing brings. */
export function execSync(mebibytes: number): CriCall {
  const executed = call(`ExecSync, ${mebibytes} MiB`, `${RUNTIME}/ExecSync`, text(1, 'c'), 1)
  return { ...executed, metadata: { [OUTPUT_HEADER]: String(mebibytes * MEBIBYTE) } }
}

function call(name: string, path: string, request: Buffer, callers: number): CriCall {
  return { name, path, request: request.toString('base64'), metadata: {}, callers }
}

/** A length-delimited field: a message or bytes. */
export function field(number: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(content.length), content])
}

export function text(number: number, content: string): Buffer {
  return field(number, Buffer.from(content))
}

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80)
  bytes.push(rest)
  return Buffer.from(bytes)
}
