import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CompressionError, HpackDecoder } from '../../../../src/http2/hpack/decoder.ts'
import { huffman, indexed, literal, plain, tableSize } from '../../../support/hpack-fields.ts'

const LIST_BYTES = 64 * 1024

function newDecoder(): HpackDecoder {
  return new HpackDecoder(LIST_BYTES)
}

function fieldsOf(decoder: HpackDecoder, ...block: readonly Buffer[]): readonly string[] {
  return decoder.decode(Buffer.concat(block)).list.fields
}

/** Field by field, until there is none. Looking changes nothing. */
function tableOf(decoder: HpackDecoder): string[][] {
  const entries: string[][] = []
  for (let index = 62; ; index += 1) {
    try {
      entries.push([...fieldsOf(decoder, indexed(index))])
    } catch {
      return entries
    }
  }
}

function refuses(...block: readonly Buffer[]): void {
  assert.throws(() => fieldsOf(newDecoder(), ...block), CompressionError)
}

const remembered = literal('incremental', plain('name'), plain('value'))

// RFC 7541, appendix C.2.
const SINGLE_FIELDS = [
  {
    what: 'a literal with indexing',
    hex: '400a637573746f6d2d6b65790d637573746f6d2d686561646572',
    field: ['custom-key', 'custom-header'],
    table: [['custom-key', 'custom-header']],
  },
  {
    what: 'a literal without indexing',
    hex: '040c2f73616d706c652f70617468',
    field: [':path', '/sample/path'],
    table: [],
  },
  {
    what: 'a literal never to be indexed',
    hex: '100870617373776f726406736563726574',
    field: ['password', 'secret'],
    table: [],
  },
  { what: 'an indexed field', hex: '82', field: [':method', 'GET'], table: [] },
]

for (const { what, hex, field, table } of SINGLE_FIELDS) {
  test(`decodes ${what} as published`, () => {
    const decoder = newDecoder()

    assert.deepEqual(fieldsOf(decoder, Buffer.from(hex, 'hex')), field)
    assert.deepEqual(tableOf(decoder), table)
  })
}

const REQUESTS = [
  [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
  [
    ...[':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com'],
    ...['cache-control', 'no-cache'],
  ],
  [
    ...[':method', 'GET', ':scheme', 'https', ':path', '/index.html'],
    ...[':authority', 'www.example.com', 'custom-key', 'custom-value'],
  ],
]
const REQUEST_TABLE = [
  ['custom-key', 'custom-value'],
  ['cache-control', 'no-cache'],
  [':authority', 'www.example.com'],
]

const DATE = 'Mon, 21 Oct 2013 20:13:21 GMT'
const LATER = 'Mon, 21 Oct 2013 20:13:22 GMT'
const PAGE = 'https://www.example.com'
const COOKIE = 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'
const RESPONSES = [
  [':status', '302', 'cache-control', 'private', 'date', DATE, 'location', PAGE],
  [':status', '307', 'cache-control', 'private', 'date', DATE, 'location', PAGE],
  [
    ...[':status', '200', 'cache-control', 'private', 'date', LATER, 'location', PAGE],
    ...['content-encoding', 'gzip', 'set-cookie', COOKIE],
  ],
]
const RESPONSE_TABLE = [
  ['set-cookie', COOKIE],
  ['content-encoding', 'gzip'],
  ['date', LATER],
]

// RFC 7541, appendices C.3 to C.6: three blocks each on one connection. The responses have a table of
// 256 bytes, so that entries are dropped.
const CONNECTIONS = [
  {
    what: 'requests without Huffman code (C.3)',
    tableBytes: 4_096,
    blocks: [
      '828684410f7777772e6578616d706c652e636f6d',
      '828684be58086e6f2d6361636865',
      '828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565',
    ],
    lists: REQUESTS,
    table: REQUEST_TABLE,
  },
  {
    what: 'requests in Huffman code (C.4)',
    tableBytes: 4_096,
    blocks: [
      '828684418cf1e3c2e5f23a6ba0ab90f4ff',
      '828684be5886a8eb10649cbf',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    ],
    lists: REQUESTS,
    table: REQUEST_TABLE,
  },
  {
    what: 'responses without Huffman code (C.5)',
    tableBytes: 256,
    blocks: [
      '4803333032580770726976617465611d4d6f6e2c203231204f63742032303133' +
        '2032303a31333a323120474d546e1768747470733a2f2f7777772e6578616d70' +
        '6c652e636f6d',
      '4803333037c1c0bf',
      '88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d' +
        '54c05a04677a69707738666f6f3d4153444a4b48514b425a584f5157454f5049' +
        '5541585157454f49553b206d61782d6167653d333630303b2076657273696f6e' +
        '3d31',
    ],
    lists: RESPONSES,
    table: RESPONSE_TABLE,
  },
  {
    what: 'responses in Huffman code (C.6)',
    tableBytes: 256,
    blocks: [
      '488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a6' +
        '2d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3',
      '4883640effc1c0bf',
      '88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab' +
        '77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f' +
        '9587316065c003ed4ee5b1063d5007',
    ],
    lists: RESPONSES,
    table: RESPONSE_TABLE,
  },
]

for (const { what, tableBytes, blocks, lists, table } of CONNECTIONS) {
  test(`decodes the published ${what}, and what it remembers of them`, () => {
    const decoder = newDecoder()
    decoder.decode(tableSize(tableBytes))

    const decoded = blocks.map((hex) => fieldsOf(decoder, Buffer.from(hex, 'hex')))

    assert.deepEqual(decoded, lists)
    assert.deepEqual(tableOf(decoder), table)
  })
}

test('an empty block is an empty list', () => {
  const decoded = newDecoder().decode(Buffer.alloc(0))

  const list = { fields: [], sensitive: undefined }
  assert.deepEqual(decoded, { list, listBytes: 0, isTooLong: false })
})

test('repeated names stay fields of their own, in order', () => {
  const twice = [plain('1'), plain('2')].map((value) => literal('without', plain('x'), value))

  assert.deepEqual(fieldsOf(newDecoder(), ...twice), ['x', '1', 'x', '2'])
})

test('a byte of a value that is not ASCII is the same byte as latin1', () => {
  const field = literal('without', plain('x'), plain('\u0000\u00e4\u00ff'))

  assert.deepEqual(fieldsOf(newDecoder(), field), ['x', '\u0000\u00e4\u00ff'])
})

test('a field never to be indexed makes its name sensitive, and no other', () => {
  const block = Buffer.concat([
    literal('never', plain('secret'), plain('1')),
    literal('never', 23, plain('Bearer x')),
    literal('without', plain('plain'), plain('2')),
    remembered,
    indexed(2),
  ])

  const { list } = newDecoder().decode(block)

  assert.deepEqual([...(list.sensitive ?? [])], ['secret', 'authorization'])
})

test('a list without such fields has no sensitive names', () => {
  assert.equal(newDecoder().decode(remembered).list.sensitive, undefined)
})

test('a name that a remembered field had can be used for another value', () => {
  const decoder = newDecoder()
  decoder.decode(remembered)

  const fields = fieldsOf(decoder, literal('incremental', 62, plain('other')))

  assert.deepEqual(fields, ['name', 'other'])
  assert.deepEqual(tableOf(decoder), [
    ['name', 'other'],
    ['name', 'value'],
  ])
})

test('a name may come from the very entry that the new one drives out', () => {
  const decoder = newDecoder()
  decoder.decode(Buffer.concat([tableSize(60), remembered]))

  decoder.decode(literal('incremental', 62, plain('a longer value')))

  assert.deepEqual(tableOf(decoder), [['name', 'a longer value']])
})

test('the table size may change more than once before the first field', () => {
  const decoder = newDecoder()
  decoder.decode(remembered)

  const fields = fieldsOf(decoder, tableSize(0), tableSize(4_096), remembered)

  assert.deepEqual(fields, ['name', 'value'])
  assert.equal(tableOf(decoder).length, 1)
})

test('an integer may take more bytes than it needs', () => {
  const fifteen = Buffer.from('0f80808000', 'hex')

  assert.deepEqual(fieldsOf(newDecoder(), fifteen, plain('x')), ['accept-charset', 'x'])
})

const ERRORS: Readonly<Record<string, readonly Buffer[]>> = {
  'the index 0': [indexed(0)],
  'an index beyond both tables': [indexed(62)],
  'an index one beyond what is remembered': [remembered, indexed(63)],
  'the name of an index beyond both tables': [literal('without', 62, plain('x'))],
  'a table size above the limit': [tableSize(4_097)],
  'a table size after a field': [indexed(2), tableSize(0), plain('a'), plain('b')],
  'a size update that ends before its number does': [Buffer.of(0x3f)],
  'an integer without end': [Buffer.from(`ff${'80'.repeat(20)}00`, 'hex')],
  'an integer beyond 32 bits, which must not wrap around to a small index': [
    Buffer.from('ff83ffffff0f', 'hex'),
  ],
  'a field without a value': [Buffer.of(0x00), plain('name')],
  'a field without a name': [Buffer.of(0x40)],
  'a string one byte longer than the block': [Buffer.of(0x00), plain('name'), Buffer.of(2, 0x61)],
  'a Huffman string longer than the block': [Buffer.of(0x00, 0x82, 0xff)],
  'padding that is not all ones': [literal('without', plain('x'), huffman('a8eb10649cbe'))],
  'padding of a whole byte': [literal('without', plain('x'), huffman('a8eb10649cbfff'))],
  'an end-of-string symbol': [literal('without', huffman('ffffffff'), plain('x'))],
}

for (const [what, block] of Object.entries(ERRORS)) {
  test(`${what} is a compression error`, () => {
    refuses(...block)
  })
}

test('a list may be as long as allowed, counting 32 bytes for each field', () => {
  const decoder = new HpackDecoder(2 * (4 + 5 + 32))

  const decoded = decoder.decode(Buffer.concat([remembered, indexed(62)]))

  assert.equal(decoded.isTooLong, false)
  assert.equal(decoded.list.fields.length, 4)
})

test('a list longer than allowed is cut at the field that does not fit, and says so', () => {
  const decoder = new HpackDecoder(2 * (4 + 5 + 32) - 1)

  const decoded = decoder.decode(Buffer.concat([remembered, indexed(62)]))

  assert.equal(decoded.isTooLong, true)
  assert.deepEqual(decoded.list.fields, ['name', 'value'])
})

test('after a field that did not fit none is taken, however short', () => {
  const decoder = new HpackDecoder(100)
  const tooLong = literal('without', plain('long'), plain('v'.repeat(200)))

  const decoded = decoder.decode(Buffer.concat([remembered, tooLong, indexed(2)]))

  assert.deepEqual(decoded.list.fields, ['name', 'value'])
})

test('what a too long list asks to be remembered is remembered to its end', () => {
  const decoder = new HpackDecoder(50)
  const beyond = literal('incremental', plain('a'), plain('1'))

  assert.equal(decoder.decode(Buffer.concat([remembered, beyond])).isTooLong, true)
  assert.deepEqual(tableOf(decoder), [
    ['a', '1'],
    ['name', 'value'],
  ])
})

test('a broken field after the cut is a compression error all the same', () => {
  const decoder = new HpackDecoder(0)

  assert.throws(() => decoder.decode(Buffer.concat([remembered, indexed(0)])), CompressionError)
})

test('a bomb, each byte of it a field of four kilobytes, leaves no more than the list may hold', () => {
  const decoder = newDecoder()
  decoder.decode(literal('incremental', plain('b'), plain('v'.repeat(4_000))))

  const decoded = decoder.decode(Buffer.alloc(200_000, indexed(62)))

  assert.equal(decoded.isTooLong, true)
  assert.equal(decoded.list.fields.length / 2, Math.floor(LIST_BYTES / (1 + 4_000 + 32)))
})
