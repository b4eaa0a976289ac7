import { after, before, describe, type TestContext, test } from 'node:test'
import type { ImageRuntime } from '../../support/image-runtime.ts'
import { requireStack, type Skippable } from '../../support/stack.ts'
import { type Configure, type CriNode, type RuntimeName, startCriNode } from './node.ts'

export const ALL: readonly RuntimeName[] = ['containerd', 'crio-like', 'dockerd-like']
/** Without names of its own, and with: the two ways on which answers reach the kubelet. */
export const BOTH_ROUTES: readonly RuntimeName[] = ['crio-like', 'scripted']
export const SCRIPTED: readonly RuntimeName[] = ['crio-like', 'dockerd-like']

const PROGRAMS = ['containerd', 'runc']

/** @param number of the behaviour: `01` to `44`, and `13a` */
export type Behaviour = (
  number: string,
  what: string,
  run: (node: CriNode, t: TestContext) => Promise<void>,
) => void

/**
 * The same behaviours on each of these runtimes, with one node for all of them. Names are
 * `cri-NUMBER RUNTIME: what`: the table of `npm run test:cri` is made of them.
 */
export function onEach(
  runtimes: readonly RuntimeName[],
  define: (behaviour: Behaviour, runtime: RuntimeName) => void,
  configure?: Configure,
): void {
  for (const runtime of runtimes) {
    describe(runtime, () => {
      const ends: (() => unknown)[] = []
      let node: CriNode | undefined
      before(async () => {
        // The tests say why they are skipped.
        if (!isThere({ skip: () => {}, after: () => {} }, runtime)) return
        node = await startCriNode({ after: (end) => ends.push(end) }, runtime, configure)
      })
      after(async () => {
        for (const end of ends.reverse()) await end()
      })
      define((number, what, run) => {
        test(titleOf(number, runtime, what), async (t) => {
          if (isThere(t, runtime) && node !== undefined) await run(node, t)
        })
      }, runtime)
    })
  }
}

/** One behaviour on each of these runtimes, on a node of its own, which it may break. */
export function onNewNode(
  runtimes: readonly RuntimeName[],
  number: string,
  what: string,
  run: (start: (configure?: Configure) => Promise<CriNode>, t: TestContext) => Promise<void>,
): void {
  for (const runtime of runtimes) {
    test(titleOf(number, runtime, what), async (t) => {
      if (isThere(t, runtime)) await run((configure) => startCriNode(t, runtime, configure), t)
    })
  }
}

function titleOf(number: string, runtime: RuntimeName, what: string): string {
  return `cri-${number} ${runtime}: ${what}`
}

function isThere(t: Skippable, runtime: RuntimeName): boolean {
  return runtime !== 'containerd' || requireStack(t, PROGRAMS)
}

/** The runtime of a behaviour that only a script can show. */
export function scriptOf({ scripted }: CriNode): ImageRuntime {
  if (scripted === undefined) throw new Error('this runtime is no script')
  return scripted
}
