import type { Aliases, ListedImage } from '../../runtime/types.ts'
import {
  edited,
  type FieldEdit,
  readMessage,
  readString,
  readStrings,
  without,
  withStrings,
} from '../wire.ts'
import type { MessageEdit } from './body-edit.ts'

/** Fields of ImageSpec. What the pod's author wrote (18) is as it was asked for already. */
const IMAGE = 1
const IMAGE_REF = 20

/** A string field. */
export function textEdit(change: (text: string) => string): FieldEdit {
  return (bytes) => {
    const before = Buffer.from(bytes).toString('utf8')
    const after = change(before)
    return after === before ? bytes : Buffer.from(after, 'utf8')
  }
}

/**
 * An ImageSpec in an answer: the names in it as the kubelet is to see them.
 *
 * @param image the runtime's ID of the image it is about; '' when it does not say
 */
export function imageSpecEdit(aliases: Aliases, image: string): FieldEdit {
  const edits = {
    [IMAGE]: textEdit((name) => aliases.title(name, image)),
    [IMAGE_REF]: textEdit((name) => aliases.reference(name, image)),
  }
  return (spec) => edited(spec, edits)
}

/** An ImageSpec in a request: a name of ours becomes the ID; an ID, and any other name, stays. */
export function requestedSpecEdit(aliases: Aliases): FieldEdit {
  const edits = { [IMAGE]: textEdit((name) => aliases.idOf(name) ?? name) }
  return (spec) => edited(spec, edits)
}

/** Fields of Image. */
const ID = 1
const REPO_TAGS = 2
const REPO_DIGESTS = 3
const SPEC = 7
/** Everywhere else here the one field of interest is the first. */
const ONLY = 1

/** An Image under the names by which the kubelet is to know it; its ID and all else stay. */
export function imageEdit(aliases: Aliases): (image: Uint8Array) => Uint8Array {
  return (image) => {
    const before = namesIn(image)
    const after = aliases.names(before)
    let message = edited(image, { [SPEC]: imageSpecEdit(aliases, before.id) })
    if (after === before) return message
    if (!isSame(after.repoTags, before.repoTags)) {
      message = withStrings(message, REPO_TAGS, after.repoTags)
    }
    if (!isSame(after.repoDigests, before.repoDigests)) {
      message = withStrings(message, REPO_DIGESTS, after.repoDigests)
    }
    return message
  }
}

/** ListImages and StreamImages, whose messages are alike. */
export interface ListEdit {
  readonly request: MessageEdit
  readonly response: MessageEdit
  /** With the gRPC code: what a whole list does not hold is not there any more. */
  readonly ended: (code: number) => void
}

/**
 * A filter that names an image by a name of ours is taken out of the request and applied here: what
 * runtimes make of a filter differs, and none of them knows the name.
 */
export function imageListEdit(aliases: Aliases): ListEdit {
  const edit = imageEdit(aliases)
  const mark = aliases.mark()
  const listed: ListedImage[] = []
  let only: string | undefined
  let isWhole = true
  return {
    request: (request) => {
      const filter = readMessage(request, ONLY) ?? new Uint8Array()
      const name = readString(readMessage(filter, ONLY) ?? new Uint8Array(), ONLY)
      isWhole = name === ''
      only = aliases.idOf(name)
      if (only === undefined) return request
      return edited(request, { [ONLY]: (each) => without(each, ONLY) })
    },
    response: (response) =>
      edited(response, {
        [ONLY]: (image) => {
          const names = namesIn(image)
          if (isWhole) listed.push({ id: names.id, names: names.repoTags })
          return only === undefined || names.id === only ? edit(image) : undefined
        },
      }),
    ended: (code) => {
      if (code === 0 && isWhole && !aliases.isEmpty()) aliases.sweep(listed, mark)
    },
  }
}

function namesIn(image: Uint8Array) {
  return {
    id: readString(image, ID),
    repoTags: readStrings(image, REPO_TAGS),
    repoDigests: readStrings(image, REPO_DIGESTS),
  }
}

function isSame(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((each, index) => each === right[index])
}
