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
