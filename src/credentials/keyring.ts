import type { Credentials } from '../registry/credentials.ts'
import { type ImagePattern, imageAt, matchesImage, parseImagePattern } from './image-pattern.ts'

/** Credentials by image pattern, found as the kubelet finds them. */
export class Keyring {
  readonly #keys: readonly { readonly pattern: ImagePattern; readonly credentials: Credentials }[]

  /** Keys that are no pattern are left out; of equal ones the first stays ahead. */
  constructor(pairs: Iterable<readonly [key: string, credentials: Credentials]>) {
    this.#keys = [...pairs]
      .flatMap(([key, credentials]) => {
        const pattern = parseImagePattern(key)
        return pattern === undefined ? [] : [{ pattern, credentials }]
      })
      .sort((one, other) => backwards(one.pattern.text, other.pattern.text))
  }

  find(host: string, repository: string): Credentials | undefined {
    const image = imageAt(host, repository)
    return this.#keys.find(({ pattern }) => matchesImage(pattern, image))?.credentials
  }
}

/** The kubelet sorts its keys backwards: a longer path before a shorter one, letters before `*`. */
function backwards(one: string, other: string): number {
  if (one === other) return 0
  return one < other ? 1 : -1
}
