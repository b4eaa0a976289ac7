import assert from 'node:assert/strict'
import { test } from 'node:test'
import { status } from '@grpc/grpc-js'
import { ResolveError } from '../../../../src/errors.ts'
import { createContainerdNames } from '../../../../src/runtime/names/containerd.ts'
import type { LeaseJournal } from '../../../../src/runtime/names/journal.ts'
import type { ImageName, NameTable } from '../../../../src/runtime/names/name-table.ts'
import type { NodeImage } from '../../../../src/runtime/types.ts'

const DIGEST = `sha256:${'d'.repeat(64)}`
const OTHER = `sha256:${'e'.repeat(64)}`
const MIRROR = `mirror.local/library/x@${DIGEST}`
const MANAGED = { 'io.cri-containerd.image': 'managed' }
const PINNED = { 'io.cri-containerd.pinned': 'pinned' }
const TAG = 'docker.io/library/x:latest'
const BY_DIGEST = `docker.io/library/x@${DIGEST}`

test('new names are given before the name of the mirror is taken away', async () => {
  const node = scriptedNode()

  const id = await node.names.withLease(MIRROR, node.pull(), [TAG, BY_DIGEST])

  assert.equal(id, 'id-of-d')
  assert.deepEqual(node.changes, [
    `begin ${MIRROR}`,
    `create ${TAG}`,
    `create ${BY_DIGEST}`,
    `delete ${MIRROR}`,
  ])
  assert.deepEqual([...node.table.keys()].sort(), [TAG, BY_DIGEST].sort())
})

test('a pinned name that is moved to another image stays pinned', async () => {
  const node = scriptedNode()
  node.put(TAG, OTHER, PINNED)

  await node.names.withLease(MIRROR, node.pull(), [TAG])

  assert.deepEqual(node.table.get(TAG)?.labels, { ...MANAGED, ...PINNED })
})

test('a tag that stands for another image is moved, one that stands for this one is left', async () => {
  const node = scriptedNode()
  node.put(TAG, OTHER)
  node.put(BY_DIGEST, DIGEST)

  await node.names.withLease(MIRROR, node.pull(), [TAG, BY_DIGEST])

  assert.deepEqual(node.changes, [
    `begin ${MIRROR}`,
    `create ${TAG}: taken`,
    `create ${BY_DIGEST}: taken`,
    `update ${TAG}`,
    `delete ${MIRROR}`,
  ])
  assert.equal(node.table.get(TAG)?.target.digest, DIGEST)
})

test('a name that vanishes between creating and moving it is created again', async () => {
  const node = scriptedNode()
  node.put(TAG, OTHER)
  node.before('update', () => node.table.delete(TAG))

  await node.names.withLease(MIRROR, node.pull(), [TAG])

  assert.equal(node.table.get(TAG)?.target.digest, DIGEST)
})

test('a name that the runtime was to pin, and stands for the image already, is written once more', async () => {
  const node = scriptedNode({ toPin: TAG })
  node.put(TAG, DIGEST)

  for (let pull = 1; pull <= 2; pull += 1) {
    await node.names.withLease(MIRROR, node.pull(), [TAG])
  }

  assert.equal(node.table.get(TAG)?.labels['pinned'], 'pinned')
  assert.deepEqual(
    node.changes.filter((change) => change.startsWith('update')),
    [`update ${TAG}`],
  )
})

test('no pull begins before the runtime said whether it has the name of the mirror', async () => {
  const node = scriptedNode()
  const order: string[] = []
  node.before('get', async () => {
    await new Promise((resolve) => setImmediate(resolve))
    order.push('asked')
  })
  const pull = async () => {
    order.push('pulled')
    return node.pull()()
  }

  await node.names.withLease(MIRROR, pull, [TAG])

  assert.deepEqual(order, ['asked', 'pulled'])
  assert.deepEqual(node.changes, [`begin ${MIRROR}`, `create ${TAG}`, `delete ${MIRROR}`])
})

test('nothing is pulled where the runtime does not say which names it has', async () => {
  const node = scriptedNode()
  const away = new Error('away')
  node.before('get', () => Promise.reject(away))

  const pull = node.names.withLease(MIRROR, node.pull(), [TAG])

  await assert.rejects(pull, (error) => error === away)
  assert.deepEqual(node.changes, [])
  assert.equal(node.table.has(MIRROR), false)
})

test('repair that cannot ask the runtime is done again, and forgets nothing', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG]]] })
  node.put(MIRROR, DIGEST)
  node.before('get', () => Promise.reject(new Error('away')))

  await node.names.settle(false)
  const afterTheFirst = [...node.entries.keys()]
  await node.names.settle(false)

  assert.deepEqual(afterTheFirst, [MIRROR])
  assert.deepEqual([...node.table.keys()], [TAG])
})

test('a pull that fails throws its own error and leaves the names as they were', async () => {
  const node = scriptedNode()
  const refused = new Error('refused')

  const pull = node.names.withLease(MIRROR, () => Promise.reject(refused), [TAG])

  await assert.rejects(pull, (error) => error === refused)
  assert.deepEqual(node.changes, [`begin ${MIRROR}`])
})

for (const [code, isGone] of [
  [status.NOT_FOUND, true],
  [status.UNKNOWN, true],
  [status.FAILED_PRECONDITION, true],
  [status.CANCELLED, false],
  [status.UNAVAILABLE, false],
] as const) {
  const what = isGone ? 'is taken away, and the image gets no names' : 'is left for later'
  test(`what a pull has left that ended with ${status[code]} ${what}`, async () => {
    const node = scriptedNode()
    const error = Object.assign(new Error('no'), { code, details: 'no', metadata: [] })

    const pull = node.names.withLease(MIRROR, async () => {
      await node.pull()()
      throw error
    }, [TAG])

    await assert.rejects(pull, (thrown) => thrown === error)
    assert.equal(node.table.has(MIRROR), !isGone)
    await node.names.settle(true)
    assert.equal(node.table.has(TAG), !isGone)
  })
}

test('a pull that ends while another goes by the same name leaves it that name', async () => {
  const node = scriptedNode()
  let finish = () => {}
  const until = new Promise<void>((resolve) => {
    finish = resolve
  })
  const slow = node.names.withLease(MIRROR, async () => {
    await until
    return node.pull()()
  }, [BY_DIGEST])

  await node.names.withLease(MIRROR, node.pull(), [TAG])
  const afterTheQuick = node.table.has(MIRROR)
  finish()
  await slow

  assert.equal(afterTheQuick, true)
  assert.deepEqual([...node.table.keys()].sort(), [TAG, BY_DIGEST].sort())
  assert.deepEqual(node.warnings, [])
})

test('the name of the mirror stays when it is what was asked for', async () => {
  const node = scriptedNode()

  await node.names.withLease(MIRROR, node.pull(), [MIRROR])

  assert.equal(node.table.has(MIRROR), true)
})

test('an image with other bytes than a wanted digest gets none of the names', async () => {
  const node = scriptedNode()

  const pull = node.names.withLease(MIRROR, node.pull(), [TAG, `docker.io/library/x@${OTHER}`])

  await assert.rejects(
    pull,
    (error) => error instanceof ResolveError && error.code === 'DIGEST_INVALID',
  )
  assert.deepEqual(node.changes, [`begin ${MIRROR}`, `delete ${MIRROR}`])
  await node.names.settle(true)
  assert.deepEqual([...node.table.keys()], [])
})

test('naming returns when the runtime shows the new names and not the old one', async () => {
  const node = scriptedNode({ eventsTakeLooks: 3 })

  await node.names.withLease(MIRROR, node.pull(), [TAG, BY_DIGEST])

  assert.deepEqual(node.waitsMs, [1, 2, 5])
  assert.deepEqual(node.warnings, [])
})

test('a runtime that shows no names within the limit is warned of, and the pull succeeds', async () => {
  const node = scriptedNode({ eventsTakeLooks: Number.POSITIVE_INFINITY })

  const id = await node.names.withLease(MIRROR, node.pull(), [TAG])

  const waitedMs = node.waitsMs.reduce((sum, ms) => sum + ms, 0)
  assert.equal(id, 'id-of-d')
  assert.equal(node.warnings.length, 1)
  assert.ok(waitedMs >= 100 && waitedMs <= 110, `${waitedMs} ms`)
})

test('one who leaves ends the wait', async () => {
  const node = scriptedNode({ eventsTakeLooks: Number.POSITIVE_INFINITY })

  await node.names.withLease(MIRROR, node.pull(), [TAG], { signal: AbortSignal.abort() })

  assert.deepEqual(node.waitsMs, [])
})

test('a name of the mirror that cannot be taken away is warned of, and the pull succeeds', async () => {
  const node = scriptedNode()
  node.before('delete', () => {
    throw new Error('read-only')
  })

  const id = await node.names.withLease(MIRROR, node.pull(), [TAG])

  assert.equal(id, 'id-of-d')
  assert.equal(node.warnings.length, 1)
})

test('an image that is removed right after its pull is an error, not a name for nothing', async () => {
  const node = scriptedNode()

  const pull = node.names.withLease(MIRROR, async () => 'id-of-d', [TAG])

  await assert.rejects(
    pull,
    (error) => error instanceof ResolveError && error.code === 'UNAVAILABLE',
  )
  assert.deepEqual(node.changes, [`begin ${MIRROR}`])
})

test('whether names can be given is asked once for a connection', async () => {
  const node = scriptedNode()

  await node.names.available()
  await node.names.available()
  node.loseConnection()
  await node.names.available()

  assert.equal(node.probes(), 2)
})

test('a pull that ended with its names is out of the journal, a failed one is not', async () => {
  const node = scriptedNode()
  const refuse = () => Promise.reject(new Error('refused'))

  await node.names.withLease(MIRROR, node.pull(), [TAG])
  const afterSuccess = [...node.entries]
  await assert.rejects(node.names.withLease(MIRROR, refuse, [TAG]))

  assert.deepEqual(afterSuccess, [])
  assert.deepEqual([...node.entries], [[MIRROR, [TAG]]])
})

test('what an interrupted pull has left is named and loses the name of the mirror', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG, BY_DIGEST]]] })
  node.put(MIRROR, DIGEST)

  await node.names.available()
  await until(() => node.entries.size === 0)

  assert.deepEqual([...node.table.keys()].sort(), [TAG, BY_DIGEST].sort())
  assert.equal(node.table.get(TAG)?.target.digest, DIGEST)
})

test('a tag that has moved since the interruption stays where it is', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG]]] })
  node.put(MIRROR, DIGEST)
  node.put(TAG, OTHER)

  await node.names.available()
  await until(() => node.entries.size === 0)

  assert.equal(node.table.get(TAG)?.target.digest, OTHER)
  assert.equal(node.table.has(MIRROR), false)
})

test('a pull that was interrupted before it brought anything is forgotten', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG]]] })

  await node.names.available()
  await until(() => node.entries.size === 0)

  assert.deepEqual(node.changes, [])
})

test('the next pull by a name that was left takes it away, as if it had come with that', async () => {
  const node = scriptedNode({ left: [[MIRROR, []]] })
  node.put(MIRROR, DIGEST)

  await node.names.withLease(MIRROR, node.pull(), [TAG])

  assert.deepEqual([...node.table.keys()], [TAG])
  assert.equal(node.entries.size, 0)
})

test('a name that could not be taken away is, as soon as that works', async () => {
  const node = scriptedNode()
  node.before('delete', () => {
    throw new Error('the runtime is going down')
  })
  await node.names.withLease(MIRROR, node.pull(), [TAG])

  await node.names.available()
  await until(() => node.entries.size === 0)

  assert.deepEqual([...node.table.keys()], [TAG])
})

test('a name by which containerd pins an image is never taken away', async () => {
  const node = scriptedNode()
  const pull = async () => {
    node.put(MIRROR, DIGEST, PINNED)
    return 'id-of-d'
  }

  await node.names.withLease(MIRROR, pull, [TAG])

  assert.deepEqual([...node.table.keys()].sort(), [TAG, MIRROR].sort())
  assert.equal(node.entries.size, 0)
})

test("a mirror's name stays as long as names that were imported with it hang on it", async () => {
  for (const left of [[], [[MIRROR, [TAG]]]] as const) {
    const node = scriptedNode({ left })
    const pull = async () => {
      node.put(MIRROR, DIGEST)
      node.put('docker.io/library/other:1', DIGEST, { 'containerd.io/gc.bref.image': MIRROR })
      return 'id-of-d'
    }

    if (left.length === 0) await node.names.withLease(MIRROR, pull, [TAG])
    else {
      await pull()
      await node.names.available()
      await until(() => node.entries.size === 0)
    }

    assert.ok(node.table.has(TAG))
    assert.ok(node.table.has(MIRROR))
  }
})

test('an image of which some content is missing gets no name', async () => {
  const node = scriptedNode()
  node.put(MIRROR, DIGEST)
  node.lacking.add(DIGEST)

  const lacking = await node.names.name(MIRROR, [TAG])
  node.lacking.clear()
  const whole = await node.names.name(MIRROR, [TAG])

  assert.deepEqual([lacking, whole], [false, true])
  assert.deepEqual(node.changes, [`create ${TAG}`])
})

test('what a runtime that ended in the middle has left is put right before repair ends', async () => {
  const node = scriptedNode()
  const pull = async () => {
    node.put(MIRROR, DIGEST)
    throw new Error('the connection broke')
  }
  await node.names.settle(true)
  await assert.rejects(node.names.withLease(MIRROR, pull, [TAG]))

  await node.names.settle(true)

  assert.deepEqual([...node.table.keys()], [TAG])
  await until(() => node.entries.size === 0)
  assert.equal(node.names.settle(true), undefined)
})

test('repair waits until the runtime does not show the name of the mirror any more', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG]]], eventsTakeLooks: 3 })
  node.put(MIRROR, DIGEST)
  let looks = 0
  node.before('delete', () => {
    looks = node.waitsMs.length
  })

  await node.names.settle(true)

  assert.deepEqual(node.waitsMs.slice(looks), [])
  assert.deepEqual([...node.table.keys()], [TAG])
  assert.deepEqual(node.warnings, [])
})

test('a name that the runtime gives after its pull was cancelled, and looked for, is taken away', async () => {
  const node = scriptedNode()
  const late = node.holdBack()
  const pull = async () => {
    throw new Error('the caller left')
  }
  await node.names.settle(true)
  await assert.rejects(node.names.withLease(MIRROR, pull, [TAG]))
  await node.names.settle(true)
  node.put(MIRROR, DIGEST)
  late()

  await until(() => node.entries.size === 0)

  assert.deepEqual([...node.table.keys()], [TAG])
})

test('a name that a cancelled pull brings after another pull by it has ended is taken away', async () => {
  const node = scriptedNode()
  const second = node.holdBack()
  let leave = () => {}
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(new Error('the caller left'))
  })
  await node.names.settle(true)
  const cancelled = assert.rejects(node.names.withLease(MIRROR, () => left, [TAG]))
  const pulled = node.names.withLease(MIRROR, async () => {
    leave()
    await cancelled
    node.put(MIRROR, DIGEST)
    return 'id-of-d'
  }, [TAG])
  await pulled
  await node.names.settle(true)
  const before = [...node.table.keys()]
  node.put(MIRROR, DIGEST)
  second()

  await until(() => node.entries.size === 0)

  assert.deepEqual([before, [...node.table.keys()]], [[TAG], [TAG]])
})

test('a pull that begins while a repaired name vanishes from the view is in the journal', async () => {
  const node = scriptedNode({ left: [[MIRROR, [TAG]]] })
  node.put(MIRROR, DIGEST)
  const fail = async () => {
    throw new Error('the connection broke')
  }
  let pulling: Promise<unknown> = Promise.resolve()
  node.whenLooked(async () => {
    pulling = assert.rejects(node.names.withLease(MIRROR, fail, [TAG]))
    await pulling
  })

  await node.names.settle(true)
  await pulling

  assert.deepEqual([...node.entries.keys()], [MIRROR])
})

/** Repairs are waited for by nobody; they end within some turns of the event loop. */
async function until(isTrue: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100 && !isTrue(); turn += 1) await new Promise(setImmediate)
  assert.ok(isTrue())
}

/** A runtime whose table is a map, and whose image list follows it after so many looks. */
function scriptedNode(
  options: {
    readonly eventsTakeLooks?: number
    /** The name that the runtime pins by its configuration. */
    readonly toPin?: string
    readonly left?: readonly (readonly [string, readonly string[]])[]
  } = {},
) {
  const rows = new Map<string, ImageName>()
  const changes: string[] = []
  const waitsMs: number[] = []
  const warnings: unknown[] = []
  const hooks = new Map<string, () => unknown>()
  const lacking = new Set<string>()
  let lost = () => {}
  let looked = async (): Promise<void> => {}
  let late: Promise<void> | undefined
  let nowMs = 0
  let looks = 0
  let probes = 0

  const put = (name: string, digest: string, labels: Readonly<Record<string, string>> = {}) => {
    const target = { mediaType: 'application/json', digest, size: '7', annotations: {} }
    rows.set(name, { name, target, labels: { ...MANAGED, ...labels } })
  }
  const hook = (call: string) => {
    const run = hooks.get(call)
    hooks.delete(call)
    return run?.()
  }
  const table: NameTable = {
    available: async () => {
      probes += 1
      return true
    },
    get: async (name) => {
      const row = rows.get(name)
      await hook('get')
      return row
    },
    create: async (name, target) => {
      const taken = rows.has(name)
      changes.push(`create ${name}${taken ? ': taken' : ''}`)
      if (!taken) rows.set(name, { name, target, labels: MANAGED })
      return !taken
    },
    update: async (name, target) => {
      hook('update')
      const row = rows.get(name)
      if (row === undefined) return false
      changes.push(`update ${name}`)
      const labels = name === options.toPin ? { ...row.labels, pinned: 'pinned' } : row.labels
      rows.set(name, { name, target, labels })
      return true
    },
    lacksPin: async ({ name, labels }) => name === options.toPin && !('pinned' in labels),
    delete: async (name) => {
      hook('delete')
      changes.push(`delete ${name}`)
      return rows.delete(name)
    },
    look: async (name) => {
      const row = rows.get(name)
      await hook('look')
      const isHolder = ({ labels }: ImageName) => labels['containerd.io/gc.bref.image'] === name
      return row && { ...row, holdsOthers: [...rows.values()].some(isHolder) }
    },
  }
  const imageStatus = async (name: string): Promise<NodeImage | undefined> => {
    looks += 1
    const run = looked
    looked = async () => {}
    await run()
    const row = rows.get(name)
    if (row === undefined || looks <= (options.eventsTakeLooks ?? 0)) return undefined
    const all = [...rows.values()].filter((one) => one.target.digest === row.target.digest)
    const isDigest = (one: ImageName) => one.name.includes('@')
    return {
      id: `id-of-${row.target.digest.at(-1)}`,
      repoTags: all.filter((one) => !isDigest(one)).map((one) => one.name),
      repoDigests: all.filter(isDigest).map((one) => one.name),
      size: 7n,
      pinned: false,
    }
  }
  const entries = new Map<string, readonly string[]>(options.left ?? [])
  const journal: LeaseJournal = {
    begin: async (name, wanted) => {
      changes.push(`begin ${name}`)
      entries.set(name, wanted)
    },
    has: async (name) => entries.has(name),
    left: async () => new Map(entries),
    done: (name) => entries.delete(name),
    written: async () => void changes.push('written'),
  }
  const names = createContainerdNames({
    table,
    imageStatus,
    isComplete: async (target) => !lacking.has(target),
    onLost: (listener) => {
      lost = listener
    },
    journal,
    log: { warn: (data: unknown) => warnings.push(data), info: () => {} },
    limitMs: 100,
    now: () => nowMs,
    wait: async (ms) => {
      // What is only a limit never comes.
      if (ms === 5_000) await new Promise(() => {})
      if (ms === 10_000) await late
      else waitsMs.push(ms)
      nowMs += ms
    },
  })
  const pull = () => async () => {
    put(MIRROR, DIGEST)
    return 'id-of-d'
  }
  return {
    names,
    entries,
    table: rows,
    changes,
    waitsMs,
    warnings,
    put,
    pull,
    /** Digests of which not all content is there. */
    lacking,
    before: (call: 'get' | 'update' | 'delete', run: () => unknown) => hooks.set(call, run),
    loseConnection: () => lost(),
    /** Before the runtime is next asked for the status of an image. */
    whenLooked: (run: () => Promise<void>) => {
      looked = run
    },
    /** Names are not looked for a second time before this is called. */
    holdBack: () => {
      let ring = () => {}
      late = new Promise<void>((resolve) => {
        ring = resolve
      })
      return () => ring()
    },
    probes: () => probes,
  }
}
