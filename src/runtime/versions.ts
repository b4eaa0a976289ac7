import type { CriVersion } from './types.ts'

/** `unknown`: the runtime did not answer, or with something that says nothing of its versions. */
export type VersionAnswer = 'served' | 'unimplemented' | 'unknown'

/** Which CRI to speak to a runtime, for callers of either. */
export interface SpokenVersions {
  /**
   * The version in which a caller's messages go to the runtime: the caller's own where the runtime
   * serves it, else the other one. For this once, the caller's own where the runtime did not say
   * whether it serves it, or serves neither; the other one where it did not say so of that.
   * Without a promise where it is known.
   */
  of(asked: CriVersion): CriVersion | Promise<CriVersion>
}

const OTHER: Readonly<Record<CriVersion, CriVersion>> = { v1: 'v1alpha2', v1alpha2: 'v1' }

/**
 * Asks one runtime, once for each version that callers speak, and the other one only after
 * UNIMPLEMENTED, as kubelet 1.23 to 1.25 did: any other failure says nothing of versions. What holds
 * for one runtime need not for the next, so each connection has its own.
 *
 * @param ask whether the runtime serves that version; never throws
 */
export function askedVersions(
  ask: (version: CriVersion) => Promise<VersionAnswer>,
): SpokenVersions {
  const known = new Map<CriVersion, CriVersion>()
  const asking = new Map<CriVersion, Promise<CriVersion>>()

  async function find(asked: CriVersion): Promise<CriVersion> {
    const own = await ask(asked)
    if (own === 'served') known.set(asked, asked)
    if (own !== 'unimplemented') return asked
    const other = OTHER[asked]
    const answer = await ask(other)
    if (answer === 'served') known.set(asked, other)
    return answer === 'unimplemented' ? asked : other
  }

  return {
    of: (asked) => {
      const spoken = known.get(asked)
      if (spoken !== undefined) return spoken
      const found = asking.get(asked) ?? find(asked).finally(() => asking.delete(asked))
      asking.set(asked, found)
      return found
    },
  }
}

/** The operator knows better: one version for all callers. */
export function forcedVersion(version: CriVersion): SpokenVersions {
  return { of: () => version }
}
