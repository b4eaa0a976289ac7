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

/** Fields of ImageSpec. The name in the pod's spec (18) needs no edit. */
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
 * The names of an ImageSpec in an answer, as the kubelet is to see them.
 *
 * @param image the runtime's ID of the image; '' when the answer has none
 */
export function imageSpecEdit(aliases: Aliases, image: string): FieldEdit {
  const edits = {
    [IMAGE]: textEdit((name) => aliases.title(name, image)),
    [IMAGE_REF]: textEdit((name) => aliases.reference(name, image)),
  }
  return (spec) => edited(spec, edits)
}

/** An ImageSpec in a request: a name that is kept here becomes the ID; an ID or any other name stays. */
export function requestedSpecEdit(aliases: Aliases): FieldEdit {
  const edits = { [IMAGE]: textEdit((name) => aliases.idOf(name) ?? name) }
  return (spec) => edited(spec, edits)
}

/** Fields of Image. */
const ID = 1
const REPO_TAGS = 2
const REPO_DIGESTS = 3
const SPEC = 7
/** The field number of every other message here. */
const ONLY = 1

/** The names of an Image, as the kubelet is to see them; its ID and everything else stay. */
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

/** ListImages and StreamImages, which have the same messages. */
export interface ListEdit {
  readonly request: MessageEdit
  readonly response: MessageEdit
  /** Called with the gRPC code. Images that a complete list does not contain are gone. */
  readonly ended: (code: number) => void
}

/**
 * A filter by a name that is kept here is removed from the request and applied to the answer, because the
 * runtime does not know the name.
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
