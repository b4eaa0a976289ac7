import type { ImageRecord } from '../../api/v1/images.ts'
import { Lazy } from '../concurrency/lazy.ts'
import { ResolveError } from '../errors.ts'
import type { NodeImages, NodeImagesOptions } from './node-images.ts'

export interface LateNodeImagesOptions extends NodeImagesOptions {
  /** The runtime's socket, where there is one by now. */
  readonly runtimeSocket: () => string | undefined
}

/** The images of this node for a door that may be open long before anybody asks for them, or for ever. */
export class LateNodeImages {
  readonly #images: Lazy<NodeImages>
  readonly #runtimeSocket: () => string | undefined

  constructor({ runtimeSocket, ...options }: LateNodeImagesOptions) {
    this.#runtimeSocket = runtimeSocket
    this.#images = new Lazy(async () => {
      const { NodeImages } = await import('./node-images.ts')
      return new NodeImages(options)
    })
  }

  /** @throws ResolveError UNAVAILABLE where there is no runtime */
  async check(): Promise<void> {
    if (this.#runtimeSocket() !== undefined) return
    const hint = 'start one, or set cri: to its socket'
    throw new ResolveError('UNAVAILABLE', `there is no CRI runtime on this machine; ${hint}`)
  }

  async list(signal: AbortSignal): Promise<readonly ImageRecord[]> {
    return (await this.#open()).list(signal)
  }

  async status(image: string, signal: AbortSignal): Promise<ImageRecord | undefined> {
    return (await this.#open()).status(image, signal)
  }

  async remove(image: string, signal: AbortSignal): Promise<void> {
    return (await this.#open()).remove(image, signal)
  }

  async pull(reference: string, signal: AbortSignal): Promise<string> {
    return (await this.#open()).pull(reference, signal)
  }

  close(): Promise<void> {
    return this.#images.close()
  }

  async #open(): Promise<NodeImages> {
    await this.check()
    return this.#images.get()
  }
}
