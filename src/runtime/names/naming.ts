import { markThrown, type Span, traced, tracing } from '../../telemetry/tracing.ts'
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
    withLease: async (...lease) => tracedNaming(await chosen(), ...lease),
    settle: (isPatient) => {
      if (last !== undefined) return (last === 'runtime' ? containerd : aliases).settle(isPatient)
      return chosen()
        .then((names) => names.settle(isPatient))
        .catch(() => {})
    },
    name: (existing, wanted, options) =>
      traced('name', spanOf(wanted), async () => (await chosen()).name(existing, wanted, options)),
    whole: async (...asked) => (await chosen()).whole(...asked),
  }
}

/** The pull is the caller's; what follows is the naming. */
async function tracedNaming(
  names: ImageNames,
  ...[mirrorName, pull, wanted, options]: Parameters<ImageNames['withLease']>
): Promise<string> {
  let span: Span | undefined
  const pullFirst = async (): Promise<string> => {
    const imageId = await pull()
    span = tracing?.start('name', spanOf(wanted))
    return imageId
  }
  try {
    return await names.withLease(mirrorName, pullFirst, wanted, options)
  } catch (thrown) {
    if (span !== undefined) markThrown(span, thrown)
    throw thrown
  } finally {
    span?.end()
  }
}

function spanOf(names: readonly string[]) {
  return { attributes: { 'image_resolver.names': [...names] } }
}
