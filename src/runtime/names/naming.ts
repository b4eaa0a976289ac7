import type { ImageNames } from '../types.ts'
import type { AliasNames } from './alias-names.ts'

/** Where the names of images are kept. */
export type NamingRoute = 'runtime' | 'aliases'

export interface Naming extends ImageNames {
  /**
   * Remembered until the connection is lost.
   *
   * @throws RuntimeError when the runtime does not answer
   */
  route(): Promise<NamingRoute>
  /**
   * As it was found out last; undefined: never yet. Does not wait, and finds out anew in the
   * background after the connection was lost, since another runtime may have taken its place.
   */
  lastRoute(): NamingRoute | undefined
}

export interface NamingRoutes {
  readonly containerd: ImageNames
  readonly aliases: AliasNames
  readonly onLost: (listener: () => void) => void
}

/** Names in the runtime where it has a table of them, else here. */
export function createNaming({ containerd, aliases, onLost }: NamingRoutes): Naming {
  let last: NamingRoute | undefined
  let asked: Promise<NamingRoute> | undefined
  onLost(() => {
    asked = undefined
  })

  function route(): Promise<NamingRoute> {
    if (asked !== undefined) return asked
    const question: Promise<NamingRoute> = containerd.available().then((offered) => {
      const found = offered ? 'runtime' : 'aliases'
      if (asked === question) last = found
      return found
    })
    asked = question
    question.catch(() => {
      if (asked === question) asked = undefined
    })
    return question
  }

  async function chosen(): Promise<ImageNames> {
    return (await route()) === 'runtime' ? containerd : aliases
  }

  return {
    route,
    lastRoute: () => {
      if (asked === undefined) route().catch(() => {})
      return last
    },
    available: async () => (await chosen()).available(),
    withLease: async (...lease) => (await chosen()).withLease(...lease),
    settle: (isPatient) => {
      if (last !== undefined) return (last === 'runtime' ? containerd : aliases).settle(isPatient)
      return chosen()
        .then((names) => names.settle(isPatient))
        .catch(() => {})
    },
    name: async (...wanted) => (await chosen()).name(...wanted),
    whole: async (...asked) => (await chosen()).whole(...asked),
  }
}
