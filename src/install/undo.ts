import {
  isSame,
  lookAt,
  makeLink,
  moveOver,
  remove,
  removeFolder,
  removeNew,
  removeTree,
} from './files.ts'
import { type Change, inOrder, STATE } from './lists.ts'
import type { Root } from './root.ts'

/** What was not put back, since it is not what was written. */
export interface Left {
  readonly path: string
  /** Where the file as it was is kept. */
  readonly backup: string | undefined
}

/**
 * Puts back what changes have changed.
 *
 * @param installed the changes of the installation, to which these belong or which they followed
 * @returns what was left as it is
 * @throws ResolveError DENIED
 */
export function undoAll(
  root: Root,
  changes: readonly Change[],
  installed: readonly Change[],
): readonly Left[] {
  const undo = (change: Change): readonly Left[] =>
    undone(
      root,
      change,
      installed.find(({ path }) => path === change.path),
    )
  const later: Change[] = []
  const left = inOrder(changes).flatMap((change) => {
    try {
      return undo(change)
    } catch (thrown) {
      // A link needs room, which a full disk has when what is new is gone.
      if (change.before?.kind !== 'link') throw thrown
      later.push(change)
      return []
    }
  })
  return [...left, ...later.flatMap(undo)]
}

/** The folder of the list itself goes last. */
function undone(root: Root, change: Change, known: Change | undefined): readonly Left[] {
  const { path, before, after, whole, backup } = change
  if (path === STATE) return []
  const [at, kept] = [root.inside(path), backup === undefined ? undefined : root.inside(backup)]
  removeNew(at)
  const now = lookAt(at)
  const isAfter = isSame(now, after)
  // An interrupted end may have put back already what was there before the installation.
  const isBack = !isAfter && known !== undefined && isSame(now, known.before ?? undefined)
  if (isBack || isSame(now, before ?? undefined)) {
    if (kept !== undefined) remove(kept)
    return []
  }
  if (!isAfter) return [{ path, backup }]
  if (after.kind === 'folder') {
    if (whole) removeTree(at)
    return whole || removeFolder(at) ? [] : [{ path, backup: undefined }]
  }
  if (before === null) remove(at)
  else if (before.kind === 'link') makeLink(at, before.target)
  else if (kept === undefined || !isSame(lookAt(kept), before)) return [{ path, backup }]
  else moveOver(kept, at)
  return []
}
