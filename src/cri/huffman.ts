/**
 * The Huffman code of header compression (RFC 7541, appendix B). The code is canonical: sorted by
 * length, then by symbol, each code is the one before plus one. So the lengths say it all.
 */
// biome-ignore format: sixteen symbols a row, as one would look them up
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
  30, // end of string
]
const END_OF_STRING = 256
const LONGEST_CODE = 30

interface CodesOfLength {
  /** The first code of this length, as a number. */
  readonly first: number
  /** Symbols in the order of their codes. */
  readonly symbols: readonly number[]
}

const CODES: readonly CodesOfLength[] = canonicalCodes()

function canonicalCodes(): CodesOfLength[] {
  const codes: CodesOfLength[] = []
  let next = 0
  for (let length = 0; length <= LONGEST_CODE; length += 1) {
    const symbols = CODE_LENGTHS.flatMap((each, symbol) => (each === length ? [symbol] : []))
    codes.push({ first: next, symbols })
    next = (next + symbols.length) << 1
  }
  return codes
}

/**
 * Decodes a Huffman-coded string. Answers undefined where RFC 7541, section 5.2 calls for an error:
 * an end-of-string symbol inside, padding of a byte or more, padding that is not all ones.
 */
export function decodeHuffman(bytes: Buffer): Buffer | undefined {
  const decoded: number[] = []
  let code = 0
  let length = 0
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit -= 1) {
      code = (code << 1) | ((byte >> bit) & 1)
      length += 1
      const codes = CODES[length]
      if (codes === undefined) return undefined
      const symbol = codes.symbols[code - codes.first]
      if (symbol === undefined) continue
      if (symbol === END_OF_STRING) return undefined
      decoded.push(symbol)
      code = 0
      length = 0
    }
  }
  const paddedWithOnes = length < 8 && code === (1 << length) - 1
  return paddedWithOnes ? Buffer.from(decoded) : undefined
}
