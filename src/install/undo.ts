import { codeOf, ResolveError } from '../errors.ts'
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
import { BEFORE, type Change, inOrder, PREVIOUS, STATE } from './lists.ts'
import type { Root } from './root.ts'

/** What was not put back. */
export interface Left {
  readonly path: string
  /** Where the file as it was is kept. */
  readonly backup: string | undefined
  /** Why it cannot be written; undefined: it is not what was written. */
  readonly problem?: string
}

/**
 * Puts back what changes have changed. What cannot be written does not hold up the rest.
 *
 * @param installed the changes of the installation, to which these belong or which they followed
 * @returns what was left as it is
 * @throws ResolveError DENIED where a path leads elsewhere by now
 */
export function undoAll(
  root: Root,
  changes: readonly Change[],
  installed: readonly Change[],
): readonly Left[] {
  const attempt = (change: Change, otherwise: (problem: string) => readonly Left[]) => {
    const { path } = change
    try {
      return undone(
        root,
        change,
        installed.find((each) => each.path === path),
      )
    } catch (thrown) {
      if (!(thrown instanceof ResolveError) || codeOf(thrown.cause) === undefined) throw thrown
      return otherwise(thrown.message)
    }
  }
  const again: Change[] = []
  const left = inOrder(changes).flatMap((change) =>
    attempt(change, () => {
      again.push(change)
      return []
    }),
  )
  // A link needs room, which a full disk has when what is new is gone.
  const more = again.flatMap((change) =>
    attempt(change, (problem) => [{ path: change.path, backup: change.backup, problem }]),
  )
  return [...left, ...more]
}

/** @returns the changes that a next run has to put back; undefined where all was written that could be */
export function openAfter(
  changes: readonly Change[],
  left: readonly Left[],
): readonly Change[] | undefined {
  if (!isStuck(left)) return undefined
  return changes.filter(({ path }) => path === STATE || left.some((each) => each.path === path))
}

/** @throws ResolveError DENIED for what cannot be written */
export function checkDone(left: readonly Left[]): void {
  for (const { problem } of left) {
    if (problem !== undefined) throw new ResolveError('DENIED', problem)
  }
}

export function isStuck(left: readonly Left[]): boolean {
  return left.some(({ problem }) => problem !== undefined)
}

/**
 * What becomes of a change that is undone: `before`, it is as it was; `kept`, it stays and is no loss; `left`, it is not
 * what was written.
 *
 * @param known the change of the installation at that path
 */
export function fateOf(
  root: Root,
  { after, backup, before, path }: Change,
  known: Change | undefined,
): 'before' | 'undone' | 'kept' | 'left' {
  const now = lookAt(root.inside(path))
  const isAfter = isSame(now, after ?? undefined)
  // An interrupted end may have put back already what was there before the installation.
  const isFirst = known !== undefined && isSame(now, known.before ?? undefined)
  if ((isFirst && !isAfter) || isSame(now, before ?? undefined)) return 'before'
  if (!isAfter) return 'left'
  const isLost =
    before?.kind === 'file' &&
    (backup === undefined || !isSame(lookAt(root.inside(backup)), before))
  if (!isLost) return 'undone'
  return isFirst ? 'kept' : 'left'
}

/** The folder of the list itself goes last. */
function undone(root: Root, change: Change, known: Change | undefined): readonly Left[] {
  const { path, before, after, whole, backup } = change
  if (path === STATE) return []
  const [at, kept] = [root.inside(path), backup === undefined ? undefined : root.inside(backup)]
  removeNew(at)
  const fate = fateOf(root, change, known)
  if (fate === 'left') return [{ path, backup }]
  if (fate === 'before' && kept !== undefined) remove(kept)
  if (fate !== 'undone') return []
  if (after?.kind === 'folder') {
    if (whole) removeTree(at)
    return whole || removeFolder(at) ? [] : [{ path, backup: undefined }]
  }
  if (before?.kind === 'link') makeLink(at, before.target)
  else if (kept !== undefined) moveOver(kept, at)
  else remove(at)
  return []
}

/**
 * Removes the copies of files that are beside them for a run, but for those of the installation.
 *
 * @param isDone the run has ended well
 */
export function removeCopies(
  root: Root,
  changes: readonly Change[],
  installed: readonly Change[],
  isDone: boolean,
): void {
  for (const { backup, path } of changes) {
    const known = installed.find((each) => each.path === path)
    if (known === undefined && (backup === undefined || !isDone)) continue
    for (const name of [`${path}${BEFORE}`, `${path}${PREVIOUS}`]) {
      if (name !== known?.backup) remove(root.inside(name))
    }
  }
}
