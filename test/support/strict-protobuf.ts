/** The fields of a message as Go's generated code takes them, of which it refuses many a message. */
export interface Field {
  readonly number: number
  readonly wireType: number
  /** What was written of it: a number's bytes, or what the length announced. */
  readonly bytes: Buffer
}

const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 }

/**
 * @returns undefined when a runtime would refuse it, or might: groups, which nobody writes, are
 * refused here
 */
export function fieldsOf(message: Buffer): readonly Field[] | undefined {
  const fields: Field[] = []
  for (let at = 0; at < message.length; ) {
    const key = varintAt(message, at)
    if (key === undefined) return undefined
    const number = Math.floor(key.value / 8)
    const wireType = key.value % 8
    const payload = payloadAt(message, key.end, wireType)
    if (number === 0 || number >= 2 ** 29 || payload === undefined) return undefined
    const bytes = message.subarray(...payload)
    fields.push({ number, wireType, bytes })
    at = payload[1]
  }
  return fields
}

/**
 * Every writing of a field that holds text or a message. Of a text the last one counts; messages are
 * merged, which is their bytes in a row (protobuf encoding, "Last One Wins").
 *
 * @returns as fieldsOf
 */
export function writingsOf(message: Buffer, number: number): readonly Buffer[] | undefined {
  const written = fieldsOf(message)?.filter((field) => field.number === number)
  const isWhole = written?.every(({ wireType }) => wireType === 2) ?? false
  return isWhole ? written?.map(({ bytes }) => bytes) : undefined
}

function payloadAt(
  message: Buffer,
  start: number,
  wireType: number,
): readonly [number, number] | undefined {
  const fixed = FIXED[wireType]
  if (fixed !== undefined) return within(message, start, start + fixed)
  const varint = varintAt(message, start)
  if (varint === undefined) return undefined
  if (wireType === 0) return [start, varint.end]
  return wireType === 2 ? within(message, varint.end, varint.end + varint.value) : undefined
}

function within(message: Buffer, start: number, end: number): [number, number] | undefined {
  return end <= message.length ? [start, end] : undefined
}

function varintAt(message: Buffer, start: number): { value: number; end: number } | undefined {
  let value = 0
  for (let at = start; at < Math.min(message.length, start + 10); at += 1) {
    const byte = message.readUInt8(at)
    value += (byte & 0x7f) * 2 ** (7 * (at - start))
    if (byte < 0x80) return { value, end: at + 1 }
  }
  return undefined
}
