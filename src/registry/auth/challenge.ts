/** One challenge of a WWW-Authenticate header (RFC 9110, section 11.6.1). */
export interface Challenge {
  /** Lower case. */
  readonly scheme: string
  /** Names in lower case, values without their quotes. */
  readonly params: ReadonlyMap<string, string>
}

const PREFERENCE: readonly string[] = ['bearer', 'basic']

const SEPARATORS = /[\s,]*/y
const TOKEN = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y
const EQUALS = /\s*=\s*/y
const QUOTED = /"((?:[^"\\]|\\.)*)"/y
const BARE = /[^\s,"]+/y
/** The value of a scheme with a single opaque one, such as `Negotiate abc==`. */
const TOKEN68 = /[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y

/**
 * Reads every challenge of one or more headers. Registries leave out quotes, put spaces around `=` and break off
 * in the middle: what can be read counts.
 */
export function parseChallenges(header: string | readonly string[]): readonly Challenge[] {
  const text = typeof header === 'string' ? header : header.join(', ')
  const challenges: { scheme: string; params: Map<string, string> }[] = []
  let at = 0
  const take = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const match = pattern.exec(text) ?? undefined
    if (match !== undefined) at = pattern.lastIndex
    return match
  }
  for (take(SEPARATORS); at < text.length; take(SEPARATORS)) {
    const name = take(TOKEN)?.[0].toLowerCase()
    if (name === undefined) {
      at += 1
    } else if (take(EQUALS) === undefined) {
      challenges.push({ scheme: name, params: new Map() })
      take(TOKEN68)
    } else {
      const value = take(QUOTED)?.[1]?.replace(/\\(.)/g, '$1') ?? take(BARE)?.[0]
      // A quote that never closes: what follows cannot be parsed.
      if (value === undefined && text[at] === '"') break
      const params = challenges.at(-1)?.params
      // The first one counts: a second realm must not replace the one that was checked.
      if (value !== undefined && !params?.has(name)) params?.set(name, value)
    }
  }
  return challenges
}

/** The challenge to answer: Bearer before Basic; undefined without either. */
export function pickChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return PREFERENCE.map((scheme) => challenges.find((one) => one.scheme === scheme)).find(
    (found) => found !== undefined,
  )
}

/** The scope for listing a registry's repositories (distribution docs, "Token Scope"). */
export const CATALOG_SCOPE = 'registry:catalog:*'

const SCOPE = /^(?<resource>[^:\s]+:.+):(?<actions>[^:\s]+)$/
/** Actions that reading never needs. */
const NEVER_NEEDED: ReadonlySet<string> = new Set(['push', 'delete', '*'])

export function pullScope(repository: string): string {
  return `repository:${repository}:pull`
}

/**
 * Our own scope, with the actions that a challenge adds for the same resource. Other resources are ignored: GHCR
 * puts a placeholder into its challenges (`repository:user/image:pull`), and a registry could ask for a token for
 * another repository.
 *
 * @param challenged the challenge's `scope`, several separated by spaces
 */
export function mergedScope(own: string, challenged: string | undefined): string {
  const { resource, actions = '' } = SCOPE.exec(own)?.groups ?? {}
  const asked = (challenged ?? '').split(' ').flatMap((scope) => {
    const groups = SCOPE.exec(scope)?.groups
    return groups?.['resource'] === resource ? (groups?.['actions'] ?? '').split(',') : []
  })
  const more = asked.filter((action) => action !== '' && !NEVER_NEEDED.has(action))
  return `${resource}:${[...new Set([...actions.split(','), ...more])].join(',')}`
}
