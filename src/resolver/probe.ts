import type { Candidate } from './types.ts'

/**
 * What is done when a budget is over. `ordinary`: its answer is still welcome, if it is the first one.
 * `lastResort`: nobody else is left, and it is in doubt. `trial`: it failed lately, and others are asked
 * at the same time; nobody waits for it, but how it does is told to the health of registries.
 */
export type Patience = 'ordinary' | 'lastResort' | 'trial'

export interface Probe {
  readonly candidate: Candidate
  readonly patience: Patience
  readonly controller: AbortController
  /** `held`: its gate is not open yet. */
  state: 'held' | 'running' | 'late' | 'done'
  cancelBudget: () => void
}

export function createProbe(candidate: Candidate, patience: Patience): Probe {
  return {
    candidate,
    patience,
    controller: new AbortController(),
    state: 'held',
    cancelBudget: () => {},
  }
}
