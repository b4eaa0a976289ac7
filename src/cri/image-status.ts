import type { Aliases } from '../runtime/types.ts'
import { requestedImage, withImage } from './image-messages.ts'
import type { Caller } from './owned-call.ts'
import { imageEdit } from './rewrite/images.ts'
import { edited } from './wire.ts'

/** ImageStatusResponse.image */
const IMAGE = 1

/** ImageStatus in front of a runtime that does not keep the names of images. Messages stay bytes. */
export class ImageStatusService {
  readonly #aliases: Aliases
  readonly #settle: () => Promise<void> | undefined

  /** @param settle as ImageNames.settle, while the runtime answers or not */
  constructor(aliases: Aliases, settle: () => Promise<void> | undefined) {
    this.#aliases = aliases
    this.#settle = settle
  }

  /**
   * Asks for a name of ours by ID, for everything else as it came.
   *
   * @throws RuntimeError
   */
  async status(request: Buffer, caller: Caller): Promise<Buffer> {
    const { metadata, deadline, signal } = caller
    const image = requestedImage(request)
    await this.#settle()
    const located = await this.#aliases.locate(image, { signal })
    if (located.kind === 'absent') return Buffer.alloc(0)
    const asked = located.kind === 'image' ? withImage(request, located.id) : request
    const options = { metadata, signal, ...(deadline === undefined ? {} : { deadline }) }
    const response = await this.#aliases.imageStatus(asked, options)
    if ((await this.#aliases.route()) === 'runtime') return response
    return Buffer.from(edited(response, { [IMAGE]: imageEdit(this.#aliases) }))
  }
}
