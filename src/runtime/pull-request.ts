import type { Method } from './call.ts'
import { loadService } from './protos.ts'
import type { CriVersion } from './types.ts'

/** A PullImage call on the wire, for callers that have nothing but a name. */
export interface PullImageRequest {
  readonly bytes: Uint8Array
  /** Reads `image_ref` from the response. */
  imageRef(response: Buffer): string
}

export function pullImageRequest(image: string, version: CriVersion): PullImageRequest {
  const service = loadService(`runtime/${version}/image.proto`, `runtime.${version}.ImageService`)
  const method = service['PullImage'] as unknown as Method<object, { readonly imageRef: string }>
  return {
    bytes: method.requestSerialize({ image: { image } }),
    imageRef: (response) => method.responseDeserialize(response).imageRef,
  }
}
