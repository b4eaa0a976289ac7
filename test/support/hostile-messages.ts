import fc from 'fast-check'

/** Protobuf as nobody writes it: every wire type, lengths that lie, fields that repeat or nest. */

const NUMBERS = [1, 1, 1, 2, 3, 4, 5, 15, 16, 99, 2 ** 29 - 1] as const

function varint(value: number): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80)
  return Buffer.from([...bytes, rest])
}

function delimited(number: number, bytes: Buffer, length = bytes.length): Buffer {
  return Buffer.concat([varint(number * 8 + 2), varint(length), bytes])
}

export function nested(depth: number, number = 1): Buffer {
  let message: Buffer = Buffer.alloc(0)
  for (let n = 0; n < depth; n += 1) message = delimited(number, message)
  return message
}

/** Names that lead to no host on the network. */
const texts = fc.oneof(
  fc
    .constantFrom(
      'nginx@sha256:0',
      '',
      ' ',
      '\n',
      '\u0000',
      'sha256:',
      '127.0.0.1:1/a',
      'UPPER',
      '::',
    )
    .map((text) => Buffer.from(text)),
  fc.uint8Array({ min: 0x80, maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
  fc.constant(Buffer.alloc(3_000, 'a')),
)
const number = fc.constantFrom(...NUMBERS)
const someBytes = fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes))

const field = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(number, texts).map(([n, text]) => delimited(n, text)) },
  {
    weight: 6,
    arbitrary: fc
      .tuple(number, number, texts)
      .map(([outer, inner, text]) => delimited(outer, delimited(inner, text))),
  },
  fc
    .tuple(number, fc.maxSafeNat())
    .map(([n, value]) => Buffer.concat([varint(n * 8), varint(value)])),
  fc
    .tuple(number, fc.constantFrom(1, 3, 4, 5, 6, 7), someBytes)
    .map(([n, type, bytes]) => Buffer.concat([varint(n * 8 + type), bytes])),
  fc
    .tuple(number, someBytes, fc.constantFrom(0, 1, 200, 2 ** 31, 2 ** 32, 2 ** 53 - 1))
    .map(([n, bytes, length]) => delimited(n, bytes, length)),
  fc.tuple(fc.nat(200), number).map((parts) => nested(...parts)),
  fc.constant(Buffer.alloc(12, 0xff)),
  someBytes,
)

export const messages = fc
  .record({
    fields: fc.array(field, { maxLength: 6 }),
    flips: fc.array(fc.tuple(fc.nat(200), fc.integer({ min: 1, max: 255 })), { maxLength: 2 }),
    cut: fc.nat(60),
  })
  .map(({ fields, flips, cut }) => {
    const whole = Buffer.concat(fields)
    for (const [at, by] of flips) {
      if (at < whole.length) whole.writeUInt8(whole.readUInt8(at) ^ by, at)
    }
    return cut < 50 ? whole : whole.subarray(0, Math.max(0, whole.length - (cut - 50)))
  })
