import type { Credentials } from '../registry/credentials.ts'
import { MAX_AUTHS_BYTES, parseDockerAuths } from './docker.ts'
import { Keyring } from './image-pattern.ts'
import { type WarnOnce, WatchedFile } from './watched-file.ts'

type Pairs = readonly (readonly [key: string, credentials: Credentials])[]

/** Image pull secrets (`.dockerconfigjson`, or the older `.dockercfg`) as files. */
export class PullSecrets {
  readonly #files: readonly WatchedFile<Pairs>[]
  #pairs: readonly (Pairs | undefined)[] = []
  #keyring = new Keyring([])

  constructor(
    files: readonly string[],
    tools: { readonly now: () => number; readonly warnOnce: WarnOnce },
  ) {
    this.#files = files.map(
      (file) =>
        new WatchedFile({
          file,
          limitBytes: MAX_AUTHS_BYTES,
          // The kubelet runs no helper that a secret names.
          parse: (text, note) => parseDockerAuths(text, note).auths,
          ...tools,
        }),
    )
  }

  /** All secrets count as one, as in the kubelet: the key that says most wins, then the first file. */
  async credentials(host: string, repository: string): Promise<Credentials | undefined> {
    const pairs = await Promise.all(this.#files.map((file) => file.read()))
    if (pairs.some((each, index) => each !== this.#pairs[index])) {
      this.#pairs = pairs
      this.#keyring = new Keyring(pairs.flatMap((each) => each ?? []))
    }
    return this.#keyring.find(host, repository)
  }
}
