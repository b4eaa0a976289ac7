/** gRPC's length-prefixed messages: one byte of compression flag, four of length, the message. */

export function framed(...messages: readonly Buffer[]): Buffer {
  return Buffer.concat(
    messages.flatMap((message) => {
      const prefix = Buffer.alloc(5)
      prefix.writeUInt32BE(message.length, 1)
      return [prefix, message]
    }),
  )
}

/** Throws when the bytes do not end where a message ends. */
export function unframed(bytes: Buffer): Buffer[] {
  const messages: Buffer[] = []
  let offset = 0
  while (offset < bytes.length) {
    const end = offset + 5 + bytes.readUInt32BE(offset + 1)
    if (end > bytes.length) throw new RangeError('the last gRPC message is cut short')
    messages.push(bytes.subarray(offset + 5, end))
    offset = end
  }
  return messages
}
