/** More than 200 nodes of a fleet take, or what a server says of itself. */
const MAX_REPLY_BYTES = 256 * 1024
/** Of one reply, with those of all lists in it; a list of 16,384 slots has fewer. */
const MAX_ITEMS = 16_384
/** Lists in lists; those of a cluster's slots are four deep, and a client that reads them goes as deep itself. */
const MAX_DEPTH = 16
/** Of what comes at once: more than commands can be under way. What was not asked for takes the client long. */
const MAX_REPLIES = 2_000
const LINE_FEED = 10

/** Reads the frames of RESP2 (redis.io, "Redis serialization protocol specification") as far as it takes to bound a reply. */
export class ReplyLimit {
  /** Bytes of a string and the end of its line that are still to come. */
  #skip = 0
  /** Of a line that has not ended. */
  #line = ''
  /** Of the reply under way. */
  #bytes = 0
  #items = 0
  /** Items that are still to come, of each list under way. */
  readonly #left: number[] = []
  /** Of the bytes that came at once. */
  #replies = 0

  /** @returns what is wrong with the reply under way: its connection is to be ended before a parser sees these bytes */
  take(chunk: Buffer): string | undefined {
    this.#replies = 0
    for (let at = 0; at < chunk.length; ) {
      const isString = this.#skip > 0
      const end = chunk.indexOf(LINE_FEED, at)
      const next = end === -1 ? chunk.length : end + 1
      const to = isString ? Math.min(chunk.length, at + this.#skip) : next
      this.#bytes += to - at
      if (this.#bytes > MAX_REPLY_BYTES) return TOO_LONG
      if (isString) {
        this.#skip -= to - at
        if (this.#skip === 0) this.#end()
      } else {
        this.#line += chunk.toString('latin1', at, to)
        const problem = end === -1 ? undefined : this.#header()
        if (problem !== undefined) return problem
      }
      if (this.#replies > MAX_REPLIES)
        return `the store sends more than ${MAX_REPLIES} replies at once`
      at = to
    }
    return undefined
  }

  #header(): string | undefined {
    const [line, list, count] = HEADER.exec(this.#line) ?? []
    this.#line = ''
    if (line === undefined) return 'what the store sends is no reply'
    const size = Number(count ?? -1)
    if (list === '$' && size >= 0) {
      this.#skip = size + '\r\n'.length
      return this.#bytes + this.#skip > MAX_REPLY_BYTES ? TOO_LONG : undefined
    }
    if (list === '*' && size > 0) {
      this.#left.push(size)
      this.#items += size
      if (this.#items > MAX_ITEMS) return `a reply of the store has more than ${MAX_ITEMS} items`
      if (this.#left.length > MAX_DEPTH) return TOO_DEEP
      return undefined
    }
    this.#end()
    return undefined
  }

  #end(): void {
    // The last item of a list ends that list, too.
    for (let left = this.#left.pop(); left !== undefined; left = this.#left.pop()) {
      if (left <= 1) continue
      this.#left.push(left - 1)
      return
    }
    this.#bytes = 0
    this.#items = 0
    this.#replies += 1
  }
}

const TOO_DEEP = `a reply of the store has lists in more than ${MAX_DEPTH} lists`
const TOO_LONG = `a reply of the store is longer than ${MAX_REPLY_BYTES / 1024} KiB`
/** A simple string, a number or an error; or the length of a string or list. */
const HEADER = /^(?:[+:-].*|([$*])(-1|\d{1,9}))\r\n$/s
