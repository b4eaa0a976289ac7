/** What an attempt waits for before its registry is asked. */
export type Wait = 'in line' | 'for credentials'

/** How one attempt stands in line at a registry that many ask. Where it need not wait it hears nothing. */
export interface Turn {
  /** Whether it goes before those that are not. Default: no. */
  readonly urgent?: boolean
  /** @param what default `in line` */
  readonly waiting?: (what?: Wait) => void
  /** It waited, and is let in. */
  readonly entered?: () => void
}
