/** Docker Hub's domain in references; its registry has another host. */
export const DEFAULT_DOMAIN = 'docker.io'

/** The namespace of Docker Hub's images that are written without one. */
export const OFFICIAL_NAMESPACE = 'library/'

/** Docker Hub's oldest name. `registry-1.docker.io` is not an alias: containerd keeps it apart. */
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io'

export interface DomainSplit {
  readonly domain: string
  readonly remainder: string
}

/**
 * Docker's rule for which part of `a/b` is a domain (distribution/reference, splitDockerDomain):
 * the first part is one when it is `localhost`, holds a dot or a colon, or has an upper-case
 * letter, which no path may have. A lone part never is: `localhost:5000` is an image and its tag.
 * Nothing is validated here.
 */
export function splitDomain(input: string): DomainSplit {
  const slash = input.indexOf('/')
  if (slash < 0) return { domain: DEFAULT_DOMAIN, remainder: OFFICIAL_NAMESPACE + input }

  const first = input.slice(0, slash)
  const rest = input.slice(slash + 1)
  if (first === DEFAULT_DOMAIN || first === LEGACY_DEFAULT_DOMAIN) {
    const remainder = rest.includes('/') ? rest : OFFICIAL_NAMESPACE + rest
    return { domain: DEFAULT_DOMAIN, remainder }
  }
  return looksLikeDomain(first)
    ? { domain: first, remainder: rest }
    : { domain: DEFAULT_DOMAIN, remainder: input }
}

function looksLikeDomain(part: string): boolean {
  return (
    part === 'localhost' || part.includes('.') || part.includes(':') || part !== part.toLowerCase()
  )
}
