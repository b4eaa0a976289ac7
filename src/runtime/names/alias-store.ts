import { join } from 'node:path'
import type { Logger } from '../../telemetry/log.ts'
import type { ListedImage } from '../types.ts'
import { type AliasRecords, readAliasFile, writeAliasFile } from './alias-file.ts'

/** Of each kind; the oldest goes first, and costs one pull. */
const MAX_NAMES = 50_000

export interface Alias {
  /** The runtime's image ID; undefined: none, whatever the runtime itself has under that name. */
  readonly image: string | undefined
  /** The image that the runtime itself has under this name, from before. */
  readonly over: string | undefined
}

export interface NewAliases {
  readonly image: string
  readonly names: readonly { readonly name: string; readonly over?: string | undefined }[]
  /** The name by which it was pulled, when the runtime has that for no other reason. */
  readonly mirror?: string | undefined
}

/**
 * Which names stand for which of the runtime's images, where the runtime cannot be told. Reading
 * never waits. What is learnt by reading, that an image is gone, is forgotten here and not
 * written: it is found out again after a restart, and a program that only reads never writes.
 */
export interface AliasStore {
  isEmpty(): boolean
  get(name: string): Alias | undefined
  /** The names of an image, sorted. */
  namesOf(image: string): readonly string[]
  /** The names by which an image was pulled, and which are not shown. */
  mirrorsOf(image: string): readonly string[]
  /** The image that was pulled by this name of a mirror. */
  mirrored(name: string): string | undefined
  /** Whether a pull by this name was begun by us, and perhaps not recorded. */
  isPending(name: string): boolean
  /** The pulls that were begun and perhaps not recorded: by which name, and for which ones. */
  pending(): ReadonlyMap<string, readonly string[]>
  /** Resolves when the disk has it, or when that failed, which is logged. */
  intend(mirror: string, wanted: readonly string[]): Promise<void>
  abandon(mirror: string): void
  /** As intend. */
  record(aliases: NewAliases): Promise<void>
  /** As intend. */
  remove(image: string): Promise<void>
  forget(image: string): void
  drop(name: string): void
  /** For `sweep`: what is recorded from now on is not judged by a list that was asked for before. */
  mark(): number
  /** Forgets what a whole list of the runtime's images, asked for at `mark`, shows to be gone. */
  sweep(images: readonly ListedImage[], mark: number): void
}

interface Kept extends Alias {
  readonly at: number
}

/** @param folder where `aliases.json` is kept; made when something is to be written */
export function openAliasStore(folder: string, log: Pick<Logger, 'warn' | 'error'>): AliasStore {
  const path = join(folder, 'aliases.json')
  const aliases = new Map<string, Kept>()
  const mirrors = new Map<string, { readonly image: string; readonly at: number }>()
  const pending = new Map<string, readonly string[]>()
  /** By image, so that showing a list costs nothing for all the others. */
  const names = new Index()
  const mirrorNames = new Index()
  let time = 0

  const loaded = readAliasFile(path, log)
  for (const { name, image, over } of loaded.aliases) setAlias(name, { image, over, at: 0 })
  for (const { name, image } of loaded.mirrors) setMirror(name, image, 0)
  for (const name of loaded.pending) setPending(name, loaded.intended?.[name] ?? [])
  let isBroken = false
  const save = savedBy(async () => {
    try {
      await writeAliasFile(path, snapshot())
      isBroken = false
    } catch (error) {
      // The pull goes on: until the next restart the names hold all the same, and one that can be
      // written again has all of them.
      if (!isBroken) log.error({ err: error, path }, 'the names of images cannot be written')
      isBroken = true
    }
  })

  function setAlias(name: string, alias: Kept): void {
    dropAlias(name)
    aliases.set(name, alias)
    names.add(alias.image, name)
    evict(aliases, dropAlias)
  }

  function dropAlias(name: string): void {
    names.delete(aliases.get(name)?.image, name)
    aliases.delete(name)
  }

  function setMirror(name: string, image: string, at: number): void {
    dropMirror(name)
    mirrors.set(name, { image, at })
    mirrorNames.add(image, name)
    evict(mirrors, dropMirror)
  }

  function dropMirror(name: string): void {
    mirrorNames.delete(mirrors.get(name)?.image, name)
    mirrors.delete(name)
  }

  function setPending(name: string, wanted: readonly string[]): void {
    pending.set(name, [...new Set([...(pending.get(name) ?? []), ...wanted])])
    evict(pending, (oldest) => pending.delete(oldest))
  }

  /** What the runtime itself had under a name must not come to light because ours went. */
  function forgetAlias(name: string): void {
    const alias = aliases.get(name)
    dropAlias(name)
    if (alias?.over !== undefined) setAlias(name, { ...alias, image: undefined })
  }

  function forget(image: string): void {
    for (const name of names.of(image)) forgetAlias(name)
    for (const name of mirrorNames.of(image)) dropMirror(name)
  }

  function sweep(images: readonly ListedImage[], mark: number): void {
    const present = new Set(images.map(({ id }) => id))
    const owners = new Map(images.flatMap(({ id, names: own }) => own.map((name) => [name, id])))
    for (const [name, { image, over, at }] of [...aliases]) {
      if (at > mark) continue
      const owner = owners.get(name)
      const renamed = owner !== undefined && owner !== image && owner !== over
      if (renamed || (image === undefined && owner !== over)) dropAlias(name)
      else if (image !== undefined && !present.has(image)) forgetAlias(name)
    }
    for (const [name, { image, at }] of [...mirrors]) {
      if (at <= mark && !present.has(image)) dropMirror(name)
    }
  }

  function snapshot(): AliasRecords {
    return {
      aliases: [...aliases].map(([name, { image, over }]) => ({
        name,
        ...(image === undefined ? {} : { image }),
        ...(over === undefined ? {} : { over }),
      })),
      mirrors: [...mirrors].map(([name, { image }]) => ({ name, image })),
      pending: [...pending.keys()],
      intended: Object.fromEntries(pending),
    }
  }

  return {
    isEmpty: () => aliases.size === 0,
    get: (name) => aliases.get(name),
    namesOf: (image) => names.of(image).sort(),
    mirrorsOf: (image) => mirrorNames.of(image),
    mirrored: (name) => mirrors.get(name)?.image,
    isPending: (name) => pending.has(name),
    pending: () => new Map(pending),
    intend: (mirror, wanted) => {
      setPending(mirror, wanted)
      return save()
    },
    abandon: (mirror) => {
      pending.delete(mirror)
    },
    record: ({ image, names: named, mirror }) => {
      time += 1
      for (const { name, over } of named) {
        setAlias(name, { image, over, at: time })
        // Wanted by this very name, so it is shown.
        dropMirror(name)
        pending.delete(name)
      }
      if (mirror !== undefined) {
        setMirror(mirror, image, time)
        pending.delete(mirror)
      }
      return save()
    },
    remove: async (image) => {
      const isKnown = names.of(image).length + mirrorNames.of(image).length > 0
      forget(image)
      if (isKnown) await save()
    },
    forget,
    drop: dropAlias,
    mark: () => time,
    sweep,
  }
}

/** Calls during a write share the next one. */
function savedBy(write: () => Promise<void>): () => Promise<void> {
  let current = Promise.resolve()
  let next: Promise<void> | undefined
  return () => {
    next ??= current.then(() => {
      next = undefined
      current = write()
      return current
    })
    return next
  }
}

function evict(
  table: { readonly size: number; keys(): Iterator<string> },
  remove: (oldest: string) => unknown,
): void {
  const { value } = table.keys().next()
  if (table.size > MAX_NAMES && value !== undefined) remove(value)
}

/** Names by image. */
class Index {
  readonly #sets = new Map<string, Set<string>>()

  of(image: string): string[] {
    return [...(this.#sets.get(image) ?? [])]
  }

  add(image: string | undefined, name: string): void {
    if (image === undefined) return
    const set = this.#sets.get(image) ?? new Set()
    this.#sets.set(image, set.add(name))
  }

  delete(image: string | undefined, name: string): void {
    if (image === undefined) return
    const set = this.#sets.get(image)
    set?.delete(name)
    if (set?.size === 0) this.#sets.delete(image)
  }
}
