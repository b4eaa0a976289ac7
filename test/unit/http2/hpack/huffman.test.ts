import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeHuffman } from '../../../../src/http2/hpack/huffman.ts'

/** The bytes 0 to 255 in order, as golang.org/x/net/http2/hpack writes them. */
const EVERY_BYTE =
  'ffc7fffd8fffffe2fffffe3fffffe4fffffe5fffffe6fffffe7fffffe8ffffeafffffff3fffffa7fffffabff' +
  'ffffdfffffebfffffecfffffedfffffeefffffefffffff0ffffff1ffffff2fffffffbfffffcffffffd3fffff' +
  'd7fffffdbfffffdffffffe3fffffe7fffffebfffffed4fe3f9ffaffcabf1febfafefe7fdfd2cbb00089969b7' +
  '1d79fb9f7fff20ffbff3ff50ddbd7f061c58f265cd9f469d5af66dddbf871e5f9cff7ff7fffc3ff9ffe45fff' +
  '4719242cb34e6e9d68a6a3d7dac426defe3cfaf7fffbfe7ffbffdffffffcfffe6ffff4bfff9ffffa3fffd3ff' +
  'ff53fffd5ffffb3fffeb7fffdaffffb7ffff73fffeeffffdeffffebffffbfffffd9ffffdbfffebffffe0ffff' +
  'eeffffc3ffff8bffff1ffffe4fffee7fffb1ffff97fffd9ffffcdffff9fffffbffffdafffeeffff4ffffb7ff' +
  'fee7fffe8ffffd3fffdeffffd5fffeeffffbdffffe1fffdfffff7fffff5ffffecffff07fff87fffe0ffff17f' +
  'ffedffff87ffff77fffeffffeaffff8bfffe3ffff93ffff87fffcbffff37ffff1fffff83ffffe1fffebfffe3' +
  'ffff3fffff2ffffa3ffffd9fffff17ffffc7fffff27ffffdefffffbffffff2fffff8fffffb7fff97fff8ffff' +
  'fe6fffffc1fffff87ffffe7fffffc5ffffe5fffe4ffff2fffffd1fffff4ffffffefffffe3fffffc9fffff97f' +
  'ffb3ffffcffffb7fffcdffff4ffff9ffffd1ffffcffffeaffffafffffddffffeffffff4fffff5fffffabffff' +
  'a7ffffd7fffff9bffffecfffffb7fffff3fffffe8fffffd3fffffabfffff5fffffff7ffffecfffffdbfffffb' +
  'bfffff7ffffff0fffffbbf'

function decoded(hex: string): string | undefined {
  const bytes = Buffer.from(hex, 'hex')
  return decodeHuffman(bytes, 0, bytes.length)
}

test('decodes each of the 256 byte values as another implementation encodes them', () => {
  const everyByte = Buffer.from([...Array(256).keys()]).toString('latin1')

  assert.equal(decoded(EVERY_BYTE), everyByte)
})

const PUBLISHED = [
  ['f1e3c2e5f23a6ba0ab90f4ff', 'www.example.com'],
  ['a8eb10649cbf', 'no-cache'],
  ['25a849e95ba97d7f', 'custom-key'],
  ['9d29ad171863c78f0b97c8e9ae82ae43d3', 'https://www.example.com'],
  ['', ''],
] as const

for (const [hex, text] of PUBLISHED) {
  test(`decodes the example of RFC 7541, appendix C: "${text}"`, () => {
    assert.equal(decoded(hex), text)
  })
}

const ERRORS = [
  ['padding of a whole byte', 'a8eb10649cbfff'],
  ['padding that is not all ones', 'a8eb10649cbe'],
  ['nothing but a byte of padding', 'ff'],
  ['a code that is cut off', 'fffe'],
  ['an end-of-string symbol', 'ffffffff'],
  ['an end-of-string symbol with others after it', 'fffffffc00'],
] as const

for (const [what, hex] of ERRORS) {
  test(`refuses ${what}`, () => {
    assert.equal(decoded(hex), undefined)
  })
}

test('up to seven bits of padding are no error', () => {
  // "!" has ten bits, "0" five: 10 + 5n bits leave each remainder of a byte.
  const texts = Array.from({ length: 8 }, (_, n) => `!${'0'.repeat(n)}`)
  const codes = texts.map((_, n) => `1111111000${'00000'.repeat(n)}`)

  const read = codes.map((bits) => decoded(hexOf(bits)))

  assert.deepEqual(read, texts)
})

test('reads no byte before or after the string', () => {
  const bytes = Buffer.from(`ffffff${'a8eb10649cbf'}ffffff`, 'hex')

  assert.equal(decodeHuffman(bytes, 3, 9), 'no-cache')
})

test('decodes a string of a hundred thousand bytes, and a short one after it', () => {
  // "0" is five zero bits: eight of them to five bytes.
  const long = decoded('00'.repeat(62_500))

  assert.equal(long, '0'.repeat(100_000))
  assert.equal(decoded('a8eb10649cbf'), 'no-cache')
})

function hexOf(bits: string): string {
  const padded = bits.padEnd(Math.ceil(bits.length / 8) * 8, '1')
  const bytes = padded.match(/.{8}/g) ?? []
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2))).toString('hex')
}
