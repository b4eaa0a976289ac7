const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ')

interface Manifest {
  readonly config?: { readonly digest: string }
  readonly manifests?: readonly {
    readonly digest: string
    readonly platform?: { readonly architecture: string }
  }[]
}

/**
 * The baseline: one registry after the other, each with the same time, and nothing learned from the
 * last time. No hashes are checked.
 *
 * @param image `repository:tag`
 * @returns the image ID for linux/amd64
 */
export async function serialWalk(
  hosts: readonly string[],
  image: string,
  timeOutMs: number,
): Promise<string> {
  const [repository = '', tag = ''] = image.split(':')
  for (const host of hosts) {
    const ask = async (reference: string): Promise<Manifest> => {
      const url = `http://${host}/v2/${repository}/manifests/${reference}`
      const signal = AbortSignal.timeout(timeOutMs)
      const response = await fetch(url, { headers: { accept: ACCEPT }, signal })
      if (!response.ok) throw new Error(`${url}: ${response.status}`)
      return (await response.json()) as Manifest
    }
    try {
      const top = await ask(tag)
      const child = top.manifests?.find(({ platform }) => platform?.architecture === 'amd64')
      const { config } = child === undefined ? top : await ask(child.digest)
      if (config !== undefined) return config.digest
    } catch {
      // The next one may have it.
    }
  }
  throw new Error(`${image} is nowhere`)
}
