import { MAX_ENTRY_BYTES } from './entry.ts'

// Each is one command for the store, and nothing comes between its parts. Times are of the store's clock,
// which is read in the same command: those of nodes are not compared.

const CLOCK = `
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
`

/** What stands in the place of a claim for a moment when its owner got no answer that can be shared. */
const FAILED = '-'

/**
 * Gives the entry, if it is young enough, else takes the claim.
 *
 * Keys: entry, claim, moved. Arguments: claim ID, its milliseconds, the oldest time that is accepted (or '') and the
 * age that is accepted then.
 *
 * Returns the time, the entry or '', and one of: `fresh`; `won`, the claim is the caller's; `wait`, it is another
 * node's; `failed`, that one had no answer; `full`, the store takes no claims.
 */
const look = {
  numberOfKeys: 3,
  lua: `${CLOCK}
local entry = redis.pcall('GET', KEYS[1])
if type(entry) ~= 'string' or #entry > ${MAX_ENTRY_BYTES} then entry = false end
local since = entry and tonumber(string.match(entry, '^1 (%d+) '))
local moved = redis.pcall('GET', KEYS[3])
moved = type(moved) == 'string' and tonumber(moved) or 0
if moved > now then moved = 0 end
local oldest = tonumber(ARGV[3]) or (now - tonumber(ARGV[4]))
if since and since <= now and since >= oldest and since > moved then
  return {now, entry, 'fresh'}
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
return {now, entry or '', state}
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
local since = type(old) == 'string' and tonumber(string.match(old, '^1 (%d+) '))
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

/** References that one repository is asked for, at most: by which tags of it change. */
const MAX_REFERENCES = 1_000
/** Domain, path, tag, and what stands between them. */
const MAX_REFERENCE_BYTES = 1_024

/** Notes that a repository is asked for a reference. Key: references. Arguments: the reference, milliseconds to keep it. */
const note = {
  numberOfKeys: 1,
  lua: `
if redis.call('SCARD', KEYS[1]) >= ${MAX_REFERENCES} then return 0 end
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`,
}

/** References that a repository is asked for. Key: references. */
const noted = {
  numberOfKeys: 1,
  lua: `
local references = {}
for _, reference in ipairs(redis.call('SRANDMEMBER', KEYS[1], ${MAX_REFERENCES})) do
  if #reference <= ${MAX_REFERENCE_BYTES} then references[#references + 1] = reference end
end
return references
`,
}

/** Marks all entries of a reference that are older than now. Key: moved. Argument: milliseconds. */
const move = {
  numberOfKeys: 1,
  lua: `${CLOCK}
redis.call('SET', KEYS[1], string.format('%.0f', now), 'PX', ARGV[1])
return now
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

/** The nodes that were seen last. Keys as `beat`. Argument: how many. Returns the time, then an ID, a time and an entry for each. */
const nodes = {
  numberOfKeys: 2,
  lua: `${CLOCK}
local seen = redis.call('ZREVRANGE', KEYS[1], 0, tonumber(ARGV[1]) - 1, 'WITHSCORES')
local found = {now}
for i = 1, #seen, 2 do
  found[#found + 1] = seen[i]
  found[#found + 1] = seen[i + 1]
  local entry = redis.call('HGET', KEYS[2], seen[i]) or ''
  found[#found + 1] = #entry > ${MAX_ENTRY_BYTES} and '' or entry
end
return found
`,
}

export const SCRIPTS = { look, publish, hold, release, note, noted, move, beat, nodes } as const
export type ScriptName = keyof typeof SCRIPTS

/** The answer of the script `look`. */
export interface Look {
  /** Of the store's clock. */
  readonly now: number
  readonly text: string
  readonly state: 'fresh' | 'won' | 'wait' | 'failed' | 'full'
}

/** @returns undefined: the store had no answer */
export function readLook(reply: unknown): Look | undefined {
  if (!Array.isArray(reply)) return undefined
  const [now, text, state] = reply as readonly unknown[]
  if (typeof now !== 'number' || typeof text !== 'string') return undefined
  return { now, text, state: state as Look['state'] }
}
