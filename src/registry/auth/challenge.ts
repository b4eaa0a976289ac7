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
/** What follows a scheme that has one opaque value, such as `Negotiate abc==`. */
const TOKEN68 = /[ \t]+[A-Za-z0-9._~+/-]+=*(?=[ \t]*(?:,|$))/y

/**
 * Reads every challenge of a header, which may hold several, as one message may hold several such
 * headers. Registries in the wild leave out quotes, put spaces around `=` and break off in the
 * middle: what can be read counts.
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
      // A quote that never closes: nothing behind it can be told apart.
      if (value === undefined && text[at] === '"') break
      const params = challenges.at(-1)?.params
      // The first wins: a second realm must not replace the one that was checked.
      if (value !== undefined && !params?.has(name)) params?.set(name, value)
    }
  }
  return challenges
}

/** The challenge that is answered: Bearer before Basic; undefined when neither is there. */
export function pickChallenge(challenges: readonly Challenge[]): Challenge | undefined {
  return PREFERENCE.map((scheme) => challenges.find((one) => one.scheme === scheme)).find(
    (found) => found !== undefined,
  )
}

/** What listing a registry's repositories needs (distribution docs, "Token Scope"). */
export const CATALOG_SCOPE = 'registry:catalog:*'

const SCOPE = /^(?<resource>[^:\s]+:.+):(?<actions>[^:\s]+)$/
/** Who reads has no use for a token that writes. */
const NEVER_NEEDED: ReadonlySet<string> = new Set(['push', 'delete', '*'])

export function pullScope(repository: string): string {
  return `repository:${repository}:pull`
}

/**
 * Our own scope, with what a challenge asks for on the very same resource. What it says of others is
 * not taken over: GHCR puts a placeholder into its challenges (`repository:user/image:pull`), and a
 * registry could ask for a token that is good somewhere else.
 *
 * @param challenged the challenge's `scope`, several apart by spaces
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
