import { edited, withBytes } from '../../../src/cri/wire.ts'

export const NOTHING = Buffer.alloc(0)

/** A message of length-delimited fields, in order; a number may come more than once. */
export function message(...fields: readonly (readonly [number, string | Uint8Array])[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => withBytes(NOTHING, number, Buffer.from(value))),
  )
}

/** All occurrences of an embedded message. */
export function messagesIn(bytes: Uint8Array, number: number): readonly Uint8Array[] {
  const found: Uint8Array[] = []
  edited(bytes, {
    [number]: (each) => {
      found.push(each)
      return each
    },
  })
  return found
}
