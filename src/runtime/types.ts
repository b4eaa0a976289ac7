/** The two packages under which runtimes serve CRI. */
export type CriVersion = 'v1' | 'v1alpha2'

/** An image as the runtime on this node knows it. */
export interface NodeImage {
  /** The runtime's own ID, opaque: never parse it, never add or strip a prefix. */
  readonly id: string
  /** `docker.io/library/nginx:latest` */
  readonly repoTags: readonly string[]
  /** `docker.io/library/nginx@sha256:...` */
  readonly repoDigests: readonly string[]
  /** Bytes, as the runtime counts them. */
  readonly size: bigint
  /** Never collected by the kubelet. */
  readonly pinned: boolean
}

/** Gives images in the runtime the names they were asked for, whatever mirror they came from. */
export interface ImageNames {
  /**
   * Whether this runtime lets names be given. Remembered until the connection is lost.
   *
   * @throws RuntimeError when the runtime does not answer
   */
  available(): Promise<boolean>

  /**
   * Lets `pull` bring an image into the runtime under a mirror's name, then gives it the wanted
   * names and takes the mirror's away, in this order, so that it is never without a name. The
   * mirror's name stays if it was there before, if it is itself wanted, or as long as another
   * pull goes by it. Returns once the runtime shows the image by those names, or when it has not
   * for the limit; that is logged and no failure.
   *
   * @param mirrorName what `pull` asks the runtime for: `harbor.corp/library/nginx@sha256:...`
   * @param pull resolves with the runtime's image ID
   * @param wanted normalised names, `domain/path:tag` and `domain/path@digest`, one of each at most
   * @returns the runtime's image ID
   * @throws what `pull` throws, as it is; RuntimeError when a name could not be given;
   *   ResolveError DIGEST_INVALID when a wanted digest is not that of the image, UNAVAILABLE when
   *   the image was removed meanwhile
   */
  withClaim(
    mirrorName: string,
    pull: () => Promise<string>,
    wanted: readonly string[],
    options?: NamingOptions,
  ): Promise<string>

  /**
   * Gives wanted names to an image that is in the runtime under another one, or under its ID, and
   * takes none away.
   *
   * @returns false when the runtime has no such name
   * @throws as withClaim
   */
  name(existing: string, wanted: readonly string[], options?: NamingOptions): Promise<boolean>
}

export interface NamingOptions {
  /** Ends the wait for the runtime to show the names, not the naming itself. */
  readonly signal?: AbortSignal
}
