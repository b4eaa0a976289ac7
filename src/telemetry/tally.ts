/** Counts by labels. Bounded: labels beyond the limit are counted together, under `other`. */
export class Tally<Label extends string> {
  readonly #names: readonly Label[]
  readonly #limit: number
  readonly #counts = new Map<string, { readonly values: readonly string[]; count: number }>()

  /** @param limit how many combinations of values are told apart; default 1000 */
  constructor(names: readonly Label[], limit = 1_000) {
    this.#names = names
    this.#limit = limit
  }

  /** @param values one for each name, in their order */
  add(...values: readonly string[]): void {
    const known = this.#counts.get(values.join('\n'))
    if (known !== undefined) {
      known.count += 1
      return
    }
    const told = this.#counts.size < this.#limit ? values : values.map(() => 'other')
    const key = told.join('\n')
    const counted = this.#counts.get(key)
    if (counted === undefined) this.#counts.set(key, { values: told, count: 1 })
    else counted.count += 1
  }

  /** Of all labels together. */
  get total(): number {
    return [...this.#counts.values()].reduce((sum, { count }) => sum + count, 0)
  }

  rows(): readonly { readonly labels: Readonly<Record<Label, string>>; readonly count: number }[] {
    return [...this.#counts.values()].map(({ values, count }) => ({
      labels: Object.fromEntries(
        this.#names.map((name, index) => [name, values[index] ?? '']),
      ) as Record<Label, string>,
      count,
    }))
  }
}
