import { MAX_ENTRY_BYTES } from './entry.ts'

// Each is one command for the store, and nothing comes between its parts. Times are of the store's clock,
// which is read in the same command: those of nodes are not compared.

const CLOCK = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

/** What stands in the place of a claim for a moment when its owner got no answer that can be shared. */
const FAILED = '-'
/** Longer than any entry is kept; a mark that ends has its entries asked for again. */
const MARK_MS = 90_000_000

/**
 * Gives the entry, if it is young enough and no tag that leads to it changed since, else takes the claim.
 *
 * A mark is any value, made where there is none. To remove it is to say that its tag changed: the next one differs, and with it
 * the epoch (SHA-1 of all marks) that an entry was asked for in. A mark that was evicted, ended or got lost does the same.
 *
 * Keys: entry, claim, marks. Arguments: claim ID, which is the value of new marks too; the milliseconds of the claim, 0: none is
 * taken and no entry is young enough; the oldest time that is accepted (or '') and the age that is accepted then.
 *
 * Returns the time, the epoch, the entry or '', and one of: `fresh`; `won`, the claim is the caller's; `wait`, it is another
 * node's; `failed`, that one had no answer; `full`, the store takes no claims; `none`, as asked.
 */
const look = {
  lua: `${CLOCK}
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' or #entry > ${MAX_ENTRY_BYTES} then entry = '' end
local marks = {}
for i = 3, #KEYS do
  local mark = redis.pcall('GET', KEYS[i])
  if type(mark) ~= 'string' then
    mark = ARGV[1]
    redis.pcall('SET', KEYS[i], mark, 'PX', ${MARK_MS})
  end
  marks[#marks + 1] = mark
end
local epoch = redis.sha1hex(table.concat(marks, ' '))
if ARGV[2] == '0' then return {now, epoch, entry, 'none'} end
local since, asked = string.match(entry, '^2 (%d+) (%x+) ')
since = tonumber(since)
local oldest = tonumber(ARGV[3]) or (now - tonumber(ARGV[4]))
if since and since <= now and since >= oldest and asked == epoch then
  return {now, epoch, entry, 'fresh'}
end
local claimed = redis.pcall('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
local state
if not claimed and redis.call('PTTL', KEYS[2]) < 0 then
  -- No node wrote this: a claim ends.
  redis.call('DEL', KEYS[2])
  claimed = redis.pcall('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2])
end
if not claimed then
  state = redis.pcall('GET', KEYS[2]) == '${FAILED}' and 'failed' or 'wait'
elseif claimed.err then
  if not string.find(claimed.err, 'OOM') then return claimed end
  state = 'full'
else
  state = 'won'
end
return {now, epoch, entry, state}
`,
}

/**
 * Keeps an entry unless a younger one is there, and gives the claim back.
 *
 * Keys: entry, claim. Arguments: entry, its time, milliseconds to keep it, claim ID. Returns 1 if it was kept.
 */
const publish = {
  numberOfKeys: 2,
  lua: `${CLOCK}
local old = redis.pcall('GET', KEYS[1])
local since = type(old) == 'string' and tonumber((string.match(old, '^2 (%d+) ')))
local kept = 0
if not since or since > now or since <= tonumber(ARGV[2]) then
  local set = redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
  if not set.err then kept = 1 end
end
if redis.pcall('GET', KEYS[2]) == ARGV[4] then redis.call('DEL', KEYS[2]) end
return kept
`,
}

/** Prolongs the caller's claim. Key: claim. Arguments: its ID, milliseconds. Returns 0 if it is lost. */
const hold = {
  numberOfKeys: 1,
  lua: `
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`,
}

/**
 * Gives the caller's claim back. Key: claim. Arguments: its ID; for how many milliseconds the others are told that there
 * was no answer, 0: the next one claims.
 */
const release = {
  numberOfKeys: 1,
  lua: `
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if tonumber(ARGV[2]) > 0 then
  local set = redis.pcall('SET', KEYS[1], '${FAILED}', 'PX', ARGV[2])
  if not set.err then return 1 end
end
return redis.call('DEL', KEYS[1])
`,
}

/**
 * Notes that a node is there, and forgets those that were not seen for long.
 *
 * Keys: times by node, entries by node. Arguments: ID, entry, milliseconds that a node is kept. Returns the time.
 */
const beat = {
  numberOfKeys: 2,
  lua: `${CLOCK}
for i, kind in ipairs({'zset', 'hash'}) do
  -- No node wrote this.
  if redis.call('TYPE', KEYS[i]).ok ~= kind then redis.call('DEL', KEYS[i]) end
end
local gone = redis.call('ZRANGEBYSCORE', KEYS[1], 0, now - tonumber(ARGV[3]), 'LIMIT', 0, 100)
if #gone > 0 then
  redis.call('ZREM', KEYS[1], unpack(gone))
  redis.call('HDEL', KEYS[2], unpack(gone))
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return now
`,
}

/** Forgets a node that ends. Keys as `beat`. Argument: its ID. */
const leave = {
  numberOfKeys: 2,
  lua: `
redis.call('HDEL', KEYS[2], ARGV[1])
return redis.call('ZREM', KEYS[1], ARGV[1])
`,
}

/** Of a node: its name, version, a fingerprint, and the signature. */
const MAX_NODE_BYTES = 1_024

/**
 * Some of the nodes that were seen last. Keys as `beat`. Arguments: how many are passed over, and how many are given. Returns
 * the time, then an ID, a time and an entry for each.
 */
const nodes = {
  numberOfKeys: 2,
  lua: `${CLOCK}
local from = tonumber(ARGV[1])
local seen = redis.call('ZREVRANGE', KEYS[1], from, from + tonumber(ARGV[2]) - 1, 'WITHSCORES')
local found = {now}
for i = 1, #seen, 2 do
  found[#found + 1] = string.sub(seen[i], 1, 64)
  found[#found + 1] = seen[i + 1]
  local entry = redis.call('HGET', KEYS[2], seen[i]) or ''
  found[#found + 1] = #entry > ${MAX_NODE_BYTES} and '' or entry
end
return found
`,
}

export const SCRIPTS = { look, publish, hold, release, beat, leave, nodes } as const
export type ScriptName = keyof typeof SCRIPTS

/** The answer of the script `look`. */
export interface Look {
  /** Of the store's clock. */
  readonly now: number
  readonly epoch: string
  readonly text: string
  readonly state: 'fresh' | 'won' | 'wait' | 'failed' | 'full' | 'none'
}

/** @returns undefined: the store had no answer */
export function readLook(reply: unknown): Look | undefined {
  if (!Array.isArray(reply)) return undefined
  const [now, epoch, text, state] = reply as readonly unknown[]
  if (typeof now !== 'number' || typeof text !== 'string') return undefined
  if (typeof epoch !== 'string' || !/^[0-9a-f]{40}$/.test(epoch)) return undefined
  return { now, epoch, text, state: state as Look['state'] }
}
