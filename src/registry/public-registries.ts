/** The domain that references to Docker Hub carry. */
export const DOCKER_HUB = 'docker.io'

/** The host that answers for Docker Hub. */
export const DOCKER_HUB_HOST = 'registry-1.docker.io'

const DOCKER_HUB_NAMES: ReadonlySet<string> = new Set([
  DOCKER_HUB,
  'index.docker.io',
  DOCKER_HUB_HOST,
])

/** Registries that serve the public and nobody else's names; a leading dot takes in subdomains. */
const PUBLIC_REGISTRIES: readonly string[] = [
  ...DOCKER_HUB_NAMES,
  'quay.io',
  'gcr.io',
  '.gcr.io',
  '.pkg.dev',
  'ghcr.io',
  'registry.k8s.io',
  'k8s.gcr.io',
  'mcr.microsoft.com',
  'public.ecr.aws',
  'registry.gitlab.com',
  'lscr.io',
  'nvcr.io',
  'docker.elastic.co',
  'registry.access.redhat.com',
  'registry.redhat.io',
  'registry.suse.com',
  'container-registry.oracle.com',
  'cgr.dev',
  'codeberg.org',
]

/** Whether a host (with or without its port) is a well-known public registry. */
export function isPublicRegistry(host: string): boolean {
  const name = host.toLowerCase().replace(/:443$/, '')
  return PUBLIC_REGISTRIES.some((known) =>
    known.startsWith('.') ? name.endsWith(known) : name === known,
  )
}

/** One spelling for a registry's domain: lower case, every name of Docker Hub is docker.io. */
export function canonicalDomain(domain: string): string {
  const name = domain.toLowerCase()
  return DOCKER_HUB_NAMES.has(name.replace(/:443$/, '')) ? DOCKER_HUB : name
}

/** Whether two domains (or hosts) are names of one registry. */
export function sameDomain(one: string, other: string): boolean {
  return canonicalDomain(one) === canonicalDomain(other)
}
