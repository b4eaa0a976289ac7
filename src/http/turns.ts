/** What is begun in one turn of the event loop: a metrics page of a millisecond each, of all clients. */
const AT_ONCE = 8

/**
 * Begins a few of the pieces in line in each turn of the event loop, so that whoever comes between two
 * of them does not wait for all. A thousand connections may have 32 requests each in line, and without
 * this one turn would answer them all: the kubelet's calls would wait for seconds.
 */
export class Turns {
  readonly #line: (() => void)[] = []
  #rows = 0

  /** @param work is begun in a later turn, after what has come before it; must not throw */
  take(work: () => void): void {
    this.#line.push(work)
    if (this.#rows >= AT_ONCE) return
    this.#rows += 1
    setImmediate(this.#next)
  }

  readonly #next = (): void => {
    const work = this.#line.shift()
    if (work === undefined) {
      this.#rows -= 1
      return
    }
    // One that is set here runs in the next turn.
    setImmediate(this.#next)
    work()
  }
}
