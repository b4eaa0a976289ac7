import type { Logger } from '../../telemetry/log.ts'
import type { LeaseJournal } from './journal.ts'
import type { NameLeases } from './lease.ts'
import type { NameTable } from './name-table.ts'
import { isPinned } from './name-table.ts'
import { createSettling, type Settling } from './settling.ts'

export interface LeaseRepairOptions {
  readonly journal: LeaseJournal
  readonly leases: NameLeases
  readonly table: NameTable
  /** Resolves when the runtime does not show that name any more, or does not in time. */
  readonly gone: (name: string) => Promise<void>
  readonly log: Pick<Logger, 'info' | 'warn'>
}

/**
 * Ends what pulls have left that were interrupted, by a crash of ours or of the runtime, or by a
 * caller who left: an image that is there under the mirror's name gets those of its names that
 * nothing else has by now, and the mirror's name is taken away. A name that stands for another image
 * was given since, so it is the newer one.
 */
export function createLeaseRepair(options: LeaseRepairOptions): Settling {
  const { journal, leases, table, gone, log } = options

  async function repairAll(): Promise<void> {
    for (const [name, wanted] of await journal.left()) {
      // By its own pull, which is under way, it will be ended.
      if (!leases.isHeld(name)) await repair(name, wanted)
    }
  }

  async function repair(name: string, wanted: readonly string[]): Promise<void> {
    const lease = await leases.acquire(name)
    let isThere = true
    try {
      const image = await table.get(name)
      isThere = image !== undefined
      if (image === undefined) return
      if (isPinned(image) || (await table.holdsOthers(name))) lease.keep()
      const { target } = image
      for (const each of wanted) {
        const digest = each.split('@')[1] ?? target.digest
        if (digest === target.digest) await table.create(each, target)
      }
      lease.named()
      log.info({ name, names: wanted }, 'ended what an interrupted pull had left')
    } finally {
      const end = await lease.release()
      if (end === 'gone') await gone(name)
      if (end === 'gone' || end === 'kept' || (end === 'left' && !isThere)) journal.done(name)
    }
  }

  return createSettling(repairAll, (err) => {
    log.warn({ err }, 'what an interrupted pull had left stays for now')
  })
}
