import type { Aliases } from '../runtime/types.ts'
import { edited, type FieldEdit } from './wire.ts'

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
