import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:http2'
import { connect as connectSocket, createServer } from 'node:net'
import { test } from 'node:test'
import { FRAME_TYPE, PREFACE, readFrameHeader } from '../../../src/cri/frames.ts'
import { readHeaderBlock } from '../../../src/cri/header-block.ts'
import { decodeHuffman } from '../../../src/cri/huffman.ts'
import { temporaryFolder } from '../../support/stack.ts'

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

test('decodes each of the 256 byte values as another implementation encodes them', () => {
  const decoded = decodeHuffman(Buffer.from(EVERY_BYTE, 'hex'))

  assert.deepEqual([...(decoded ?? [])], [...Array(256).keys()])
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
    assert.equal(decodeHuffman(Buffer.from(hex, 'hex'))?.toString(), text)
  })
}

const ERRORS = [
  ['padding of a whole byte', 'a8eb10649cbfff'],
  ['padding that is not all ones', 'a8eb10649cbe'],
  ['an end-of-string symbol', 'ffffffff'],
] as const

for (const [what, hex] of ERRORS) {
  test(`refuses ${what}`, () => {
    assert.equal(decodeHuffman(Buffer.from(hex, 'hex')), undefined)
  })
}

test('decodes what the HTTP/2 engine of Node encodes, for every byte it can send', async (t) => {
  // Symbols of five bits beside the byte make Huffman the shorter form, which nghttp2 then takes.
  const values = Array.from({ length: 255 }, (_, i) => `eeeeeeeeeeaaaaaaaaaa${chr(i + 1)}ooo`)

  const blocks = await headerBlocksOf(t, values)

  const decoded = blocks.map((block, i) => lastValueIs(block, values[i] ?? ''))
  assert.equal(decoded.length, 255)
  assert.deepEqual(decoded.indexOf(false), -1)
})

function chr(code: number): string {
  return String.fromCharCode(code)
}

/** A header block ends with the Huffman string of its last value; the byte before it is its length. */
function lastValueIs(block: Buffer, value: string): boolean {
  for (let length = 1; length < 32; length += 1) {
    if (block.at(-length - 1) !== (0x80 | length)) continue
    const text = decodeHuffman(block.subarray(-length))?.toString('latin1')
    if (text === value) return true
  }
  return false
}

async function headerBlocksOf(
  t: Parameters<typeof temporaryFolder>[0],
  values: readonly string[],
): Promise<Buffer[]> {
  const path = `${temporaryFolder(t)}/capture.sock`
  const chunks: Buffer[] = []
  const server = createServer()
  server.listen(path)
  await once(server, 'listening')
  const session = connect('http://localhost', {
    createConnection: () => connectSocket(path),
    peerMaxConcurrentStreams: 300,
  })
  session.on('error', () => {})
  t.after(() => session.destroy())
  t.after(() => server.close())
  for (const value of values) session.request({ v: value }).on('error', () => {})

  const [socket] = await once(server, 'connection')
  for await (const chunk of socket) {
    chunks.push(chunk)
    const blocks = blocksIn(Buffer.concat(chunks))
    if (blocks.length === values.length) return blocks
  }
  return []
}

function blocksIn(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  let offset = PREFACE.length
  for (;;) {
    const header = readFrameHeader(bytes, offset)
    if (header === undefined) return blocks
    const reading = readHeaderBlock(bytes, offset)
    if (header.type === FRAME_TYPE.headers && reading.state === 'whole') {
      blocks.push(reading.block.fields)
    }
    offset += 9 + header.payloadBytes
  }
}
