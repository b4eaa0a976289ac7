import { ConnectionError } from './errors.ts'
import { ERROR_CODE, FRAME_FLAG } from './frames.ts'
import { LIMITS } from './limits.ts'

export interface HeaderBlock {
  readonly streamId: number
  readonly endStream: boolean
  /** The compressed fields, whole, without padding and priority. */
  readonly fields: Buffer
}

interface Begun {
  readonly streamId: number
  readonly endStream: boolean
  readonly fragments: Buffer[]
  bytes: number
}

/**
 * Puts header blocks together from HEADERS and CONTINUATION (RFC 9113, sections 6.2 and 6.10).
 * While one is begun no other frame may come, which is the caller's to see to.
 */
export class BlockAssembly {
  #begun: Begun | undefined

  get isBegun(): boolean {
    return this.#begun !== undefined
  }

  /** Bytes of a block that is not whole yet. */
  get heldBytes(): number {
    return this.#begun?.bytes ?? 0
  }

  /** @param fragment without padding and priority */
  headers(flags: number, streamId: number, fragment: Buffer): HeaderBlock | undefined {
    const endStream = (flags & FRAME_FLAG.endStream) !== 0
    if ((flags & FRAME_FLAG.endHeaders) !== 0) return { streamId, endStream, fields: fragment }
    this.#begun = { streamId, endStream, fragments: [fragment], bytes: fragment.length }
    return undefined
  }

  /** @throws ConnectionError PROTOCOL_ERROR, ENHANCE_YOUR_CALM for a block without end */
  continuation(flags: number, streamId: number, fragment: Buffer): HeaderBlock | undefined {
    const begun = this.#begun
    if (begun === undefined || begun.streamId !== streamId) {
      throw new ConnectionError(ERROR_CODE.protocolError, 'CONTINUATION of nothing')
    }
    begun.fragments.push(fragment)
    begun.bytes += fragment.length
    const { headerBlockBytes, headerBlockFrames } = LIMITS
    if (begun.bytes > headerBlockBytes || begun.fragments.length > headerBlockFrames) {
      throw new ConnectionError(ERROR_CODE.enhanceYourCalm, 'a header block without end')
    }
    if ((flags & FRAME_FLAG.endHeaders) === 0) return undefined
    this.#begun = undefined
    const { endStream, fragments } = begun
    return { streamId, endStream, fields: Buffer.concat(fragments) }
  }
}
