import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ReplyLimit } from '../../../src/shared-cache/reply-limit.ts'

type Reply = string | number | null | readonly Reply[]

function encoded(reply: Reply): string {
  if (reply === null) return '$-1\r\n'
  if (typeof reply === 'number') return `:${reply}\r\n`
  if (typeof reply === 'string') return `$${Buffer.byteLength(reply)}\r\n${reply}\r\n`
  return `*${reply.length}\r\n${reply.map(encoded).join('')}`
}

/** In pieces, as a network brings it. */
function take(limit: ReplyLimit, text: string, piece = 65_536): string | undefined {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += piece) {
    const problem = limit.take(bytes.subarray(at, at + piece))
    if (problem !== undefined) return problem
  }
  return undefined
}

test('replies of a store go through, in whatever pieces they come and however many they are', () => {
  const { reply } = fc.letrec<{ reply: Reply }>((tie) => ({
    reply: fc.oneof(
      { depthSize: 'small' },
      fc.integer(),
      fc.constant(null),
      fc.string({ unit: 'binary', maxLength: 50 }),
      fc.array(tie('reply'), { maxLength: 8 }),
    ),
  }))
  fc.assert(
    fc.property(
      fc.array(reply, { maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      (all, piece) => {
        const limit = new ReplyLimit()
        assert.equal(
          take(limit, `${all.map(encoded).join('')}+OK\r\n-ERR no\r\n*-1\r\n`, piece),
          undefined,
        )
        // Nothing of what was read counts against the next one.
        assert.equal(take(limit, encoded('x'.repeat(260_000)), 1_000), undefined)
      },
    ),
  )
})

const LONG = 'a reply of the store is longer than 256 KiB'
const MANY = 'a reply of the store has more than 16384 items'

const REFUSED: readonly (readonly [string, string, string])[] = [
  ['a string that says that it is long', '$300000\r\n', LONG],
  [
    'a list of strings that are long together',
    encoded(['x'.repeat(200_000), 'x'.repeat(70_000)]),
    LONG,
  ],
  ['a line without an end', `+${'x'.repeat(270_000)}`, LONG],
  ['a list that says that it is long', '*30000000\r\n', MANY],
  ['lists in lists that are long together', '*9000\r\n'.repeat(2), MANY],
  [
    'lists in lists without an end',
    '*1\r\n'.repeat(17),
    'a reply of the store has lists in more than 16 lists',
  ],
  ['a length that is no number', '$1e9\r\n', 'what the store sends is no reply'],
  [
    'what is of another protocol',
    'HTTP/1.1 400 Bad Request\r\n',
    'what the store sends is no reply',
  ],
  ['a type that was not agreed on', '%1\r\n', 'what the store sends is no reply'],
]

test('as many replies may come at once as commands can be under way, again and again', () => {
  const limit = new ReplyLimit()
  assert.equal(limit.take(Buffer.from(':1\r\n'.repeat(2_000))), undefined)
  assert.equal(limit.take(Buffer.from(':1\r\n'.repeat(2_000))), undefined)
  const many = limit.take(Buffer.from(':1\r\n'.repeat(2_001)))
  assert.equal(many, 'the store sends more than 2000 replies at once')
})

test('the last list of a list ends that one, too', () => {
  const limit = new ReplyLimit()
  const lists = '*2\r\n*0\r\n*2\r\n*-1\r\n*1\r\n:1\r\n'
  assert.equal(take(limit, `${lists.repeat(100)}+OK\r\n`), undefined)
})

for (const [what, text, problem] of REFUSED) {
  test(`${what} is refused before it is read`, () => {
    assert.equal(take(new ReplyLimit(), text, 7), problem)
    assert.equal(take(new ReplyLimit(), text), problem)
  })
}
