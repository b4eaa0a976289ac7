import { dockerRef, formatReference, parseReference } from '../../reference/reference.ts'
import { deadlineIn, rawMethod, unless } from '../call.ts'
import type { RuntimeChannel } from '../channel.ts'
import { containerdMethod, KUBERNETES_NAMESPACE } from '../protos.ts'
import { status } from '../status.ts'

/** One call; they are all local, small and from a database in memory. */
const LIMIT_MS = 10_000

/** What a name stands for. */
export interface NameTarget {
  readonly mediaType: string
  readonly digest: string
  /** Bytes, decimal. */
  readonly size: string
  readonly annotations: Readonly<Record<string, string>>
}

export interface ImageName {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly target: NameTarget
  /**
   * Whether other names live only as long as this one: images that were imported with more than one
   * reference since containerd 2.4 have the label `containerd.io/gc.bref.image` with it. Absent: not looked for.
   */
  readonly holdsOthers?: boolean
}

/** The runtime's table of image names. Every call throws RuntimeError. */
export interface NameTable {
  /** Whether the runtime has such a table. */
  available(): Promise<boolean>
  get(name: string): Promise<ImageName | undefined>
  /**
   * With the label of the CRI part of containerd that it takes care of the name, which it would give by
   * one more write. Without it where containerd may pin the image by this very name (`sandbox_image`): in
   * a name that comes with the label 1.6 and 1.7 do not look for that (containerd/containerd#9732), and
   * the kubelet would collect the pause image.
   *
   * @returns false: there is such a name already
   */
  create(name: string, target: NameTarget): Promise<boolean>
  /**
   * Whether containerd would pin this name by its configuration and has not: the name is older than the
   * configuration. containerd 1.7 pins it with the next pull of this very name, which a pull from a mirror
   * or of what is unchanged is not.
   */
  lacksPin(image: ImageName): Promise<boolean>
  /** Moves a name to a target and pins it where containerd would; its other labels stay. False: there is no such name. */
  update(name: string, target: NameTarget): Promise<boolean>
  /** False: there was no such name. */
  delete(name: string): Promise<boolean>
  /** As get, with `holdsOthers`. containerd reads all its names for it. */
  look(name: string): Promise<ImageName | undefined>
}

const GET = rawMethod('/containerd.services.images.v1.Images/Get')
const limits = () => ({ metadata: KUBERNETES_NAMESPACE, deadline: deadlineIn(LIMIT_MS) })
const MANAGED = { 'io.cri-containerd.image': 'managed' }
const PINNED = 'io.cri-containerd.pinned'
const HELD_BY = 'labels."containerd.io/gc.bref.image"'

/**
 * containerd's, of the images that belong to Kubernetes.
 *
 * @param sandboxImage as the configuration of containerd 1 spells it; undefined: not known, as of containerd 2
 */
export function createNameTable(
  channel: RuntimeChannel,
  sandboxImage: () => Promise<string | undefined> = async () => undefined,
): NameTable {
  let pinned: Promise<string | undefined> | undefined
  channel.onLost(() => {
    pinned = undefined
  })

  /** The one name that containerd pins; undefined: not known. */
  function pinnedName(): Promise<string | undefined> {
    pinned ??= sandboxImage()
      .then((image) => (image ? formatReference(dockerRef(parseReference(image))) : undefined))
      .catch(() => undefined)
    return pinned
  }

  function call<Response>(rpc: string, request: object): Promise<Response> {
    const method = containerdMethod<Response>('Images', rpc)
    return channel.call(method, request, limits())
  }

  const get = (name: string) =>
    unless(
      status.NOT_FOUND,
      undefined,
      call<{ image: ImageName }>('Get', { name }).then((answer) => answer.image),
    )

  return {
    // No image can be called `-`, so the answer is NOT_FOUND or that there is no table. It is asked before the CRI
    // socket is opened, so it waits for no proto to be read.
    available: () => {
      const asked = channel.call(GET, Buffer.from('\n\u0001-'), limits())
      return unless(
        status.UNIMPLEMENTED,
        false,
        unless(
          status.NOT_FOUND,
          true,
          asked.then(() => true),
        ),
      )
    },
    get,
    create: async (name, target) => {
      const pinned = await pinnedName()
      const labels = pinned === undefined || pinned === name ? {} : MANAGED
      const created = call('Create', { image: { name, labels, target } }).then(() => true)
      return unless(status.ALREADY_EXISTS, false, created)
    },
    lacksPin: async (image) => !isPinned(image) && image.name === (await pinnedName()),
    update: async (name, target) => {
      const isToPin = name === (await pinnedName())
      const image = { name, target, labels: isToPin ? { [PINNED]: 'pinned' } : {} }
      const paths = isToPin ? ['target', `labels.${PINNED}`] : ['target']
      const updated = call('Update', { image, updateMask: { paths } }).then(() => true)
      return unless(status.NOT_FOUND, false, updated)
    },
    delete: (name) =>
      unless(
        status.NOT_FOUND,
        false,
        call('Delete', { name }).then(() => true),
      ),
    look: async (name) => {
      const quoted = JSON.stringify(name)
      const filters = [`name==${quoted}`, `${HELD_BY}==${quoted}`]
      const { images } = await call<{ images: readonly ImageName[] }>('List', { filters })
      const found = images.find((image) => image.name === name)
      return found && { ...found, holdsOthers: images.length > 1 }
    },
  }
}

/**
 * Whether containerd keeps the image from the kubelet's collection because of this very name, which
 * its configuration spells out, or an administrator has labelled: with the name the protection would
 * go.
 */
export function isPinned({ labels }: ImageName): boolean {
  return labels[PINNED] === 'pinned'
}
