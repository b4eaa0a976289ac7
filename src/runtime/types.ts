import type { CallOptions } from './call.ts'

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
  withLease(
    mirrorName: string,
    pull: () => Promise<string>,
    wanted: readonly string[],
    options?: NamingOptions,
  ): Promise<string>

  /**
   * Gives wanted names to an image that is in the runtime under another one, or under its ID, and
   * takes none away. Where the runtime lets its content be looked at, never to an image that lacks
   * some of it: by a name of its own it would be used, and would not start.
   *
   * @returns false when the runtime has no such name, or not the whole image
   * @throws as withLease
   */
  name(existing: string, wanted: readonly string[], options?: NamingOptions): Promise<boolean>

  /**
   * An image by one of its names, of which nothing is missing that a pull would bring, so that a pull
   * of the same would change nothing.
   *
   * @param name normalised, `domain/path:tag` or `domain/path@digest`
   * @returns undefined: there is no such image, something is missing, or the runtime cannot tell
   * @throws RuntimeError
   */
  whole(name: string, options?: NamingOptions): Promise<WholeImage | undefined>

  /**
   * Ends what interrupted pulls have left, by a crash of this process or of the runtime, or by a caller that
   * left: the image gets its names, and the mirror's is taken away. Does not reject.
   *
   * @param isPatient the runtime answers, so that it is asked again for some seconds where it does not
   * @returns undefined: nothing is left; else resolves when the runtime shows it, or after some seconds
   */
  settle(isPatient: boolean): Promise<void> | undefined
}

/** An image that lacks nothing. */
export interface WholeImage {
  /** The runtime's own. */
  readonly id: string
  /** All its names, normalised. */
  readonly names: readonly string[]
  /** The manifest or index that the name stands for; undefined: in this runtime it stands for the ID. */
  readonly target: string | undefined
}

export interface NamingOptions {
  /** Ends the wait for the runtime to show the names, not the naming itself. */
  readonly signal?: AbortSignal
}

/**
 * Names of images where the runtime keeps none for us: what it is to be asked for, and how what it
 * says is to be shown. In front of a runtime that keeps them itself nothing of this is needed.
 */
export interface Aliases {
  /** @throws RuntimeError when the runtime does not answer */
  route(): Promise<'runtime' | 'aliases'>
  /** As found out last; undefined: never yet. Does not wait, and keeps itself up to date. */
  lastRoute(): 'runtime' | 'aliases' | undefined
  /** No image has another name than in the runtime. */
  isEmpty(): boolean
  /** @throws RuntimeError */
  locate(image: string, options?: NamingOptions): Promise<Located>
  /** The ID that a name stands for; does not look whether the image is still there. */
  idOf(image: string): string | undefined
  /** The names under which the kubelet is to see an image; the same object when they are the same. */
  names<T extends ShownNames & { readonly id: string }>(image: T): ShownNames
  /**
   * What a container is said to run: the image's tag where the runtime says a mirror's name. IDs
   * stay as they are, here and in `reference`.
   *
   * @param image the runtime's image ID; '' when it does not say
   */
  title(name: string, image: string): string
  /** A mirror's name with a digest as the original's, with the same digest. */
  reference(name: string, image: string): string
  /** ImageStatus of the runtime itself, on the wire. @throws RuntimeError */
  imageStatus(request: Uint8Array, options: CallOptions): Promise<Buffer>
  /** For `sweep`: when a list was asked for. */
  mark(): number
  /** Forgets what a whole list of the runtime's images, asked for at `mark`, shows to be gone. */
  sweep(images: readonly ListedImage[], mark: number): void
}

export interface ShownNames {
  readonly repoTags: readonly string[]
  readonly repoDigests: readonly string[]
}

/** An image as the runtime lists it. */
export interface ListedImage {
  readonly id: string
  /** With tags, as the runtime itself spells them. */
  readonly names: readonly string[]
}

/** What the runtime is to be asked for, where a caller names an image. */
export type Located =
  /** By this ID. */
  | { readonly kind: 'image'; readonly id: string }
  /** As the caller put it. */
  | { readonly kind: 'asked' }
  /** Not at all: no image has that name any more, whatever the runtime says. */
  | { readonly kind: 'absent' }
