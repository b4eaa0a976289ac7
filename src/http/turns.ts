/**
 * Pieces that are begun in one turn of the event loop as they come, and as many again out of the lines: a
 * tenth of a millisecond each.
 */
const AT_ONCE = 32

/**
 * Begins requests, but only some in each turn of the event loop. A thousand connections may bring 32 requests
 * each in one turn, and every other client would wait until all of them are answered. What is left over is
 * begun in the turns that follow, one piece of each client after the other.
 */
export class Turns<T> {
  readonly #begin: (piece: T) => void
  readonly #lines = new Map<string, T[]>()
  #begun = 0
  #rows = 0

  /** @param begin must not throw */
  constructor(begin: (piece: T) => void) {
    this.#begin = begin
  }

  /**
   * Begins it at once while the turn has room.
   *
   * @param client as clientKey tells them apart
   */
  take(client: string, piece: T): void {
    if (this.#begun < AT_ONCE && this.#lines.size === 0) {
      if (this.#begun === 0) setImmediate(this.#endTurn)
      this.#begun += 1
      this.#begin(piece)
      return
    }
    const line = this.#lines.get(client)
    if (line === undefined) this.#lines.set(client, [piece])
    else line.push(piece)
    if (this.#rows >= AT_ONCE) return
    this.#rows += 1
    setImmediate(this.#beginNext)
  }

  readonly #endTurn = (): void => {
    this.#begun = 0
  }

  readonly #beginNext = (): void => {
    const [next] = this.#lines
    if (next === undefined) {
      this.#rows -= 1
      return
    }
    // One that is set here runs in the next turn.
    setImmediate(this.#beginNext)
    const [client, line] = next
    const [piece] = line.splice(0, 1)
    this.#lines.delete(client)
    if (line.length > 0) this.#lines.set(client, line)
    if (piece !== undefined) this.#begin(piece)
  }
}
