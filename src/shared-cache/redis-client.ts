import { Cluster } from 'ioredis'
import type { Clock } from '../concurrency/clock.ts'
import type { SharedStoreConfig } from '../config/config.ts'
import { oneLine } from '../reference/quote.ts'
import { Breaker } from '../registry/breaker.ts'
import type { SharedMetrics } from '../telemetry/counters.ts'
import type { Logger } from '../telemetry/log.ts'
import { MAX_ENTRY_BYTES } from './entry.ts'
import { type Client, connect, SCRIPT_PREFIX } from './redis-connection.ts'
import type { ScriptName } from './scripts.ts'

export interface RedisClientOptions {
  readonly config: SharedStoreConfig
  readonly metrics: Pick<SharedMetrics, 'commands' | 'leftAlone' | 'unused'>
  readonly clock: Clock
  /** Milliseconds of a monotonic clock. */
  readonly steady: () => number
  readonly logger: Pick<Logger, 'info' | 'warn'>
  /** Called when it is connected, and each time again; of a cluster also when it has other primaries. */
  readonly connected?: () => void
}

/** Commands that wait for an answer at a time; further ones are not sent. */
const MAX_IN_FLIGHT = 1_000
/** The store refuses our credentials; the files may hold others by now. */
const REFUSED = /WRONGPASS|NOAUTH|invalid password|invalid username/i

/** How long after a node of a cluster is lost another one may be known. */
const LOST_NODE_MS = 1_000

/** A store that is full, or holds what is none of ours in its place, answers, and is read still. */
const ANSWERED = /\b(?:OOM|WRONGTYPE)\b/
type Commands = Readonly<Record<string, (...args: readonly string[]) => Promise<unknown>>>

/**
 * One Valkey or Redis. Nothing here rejects, and no call waits for longer than it is told: when the store was too slow, full
 * of errors or gone, it is left alone, for a second at first and up to a minute.
 */
export class RedisClient {
  readonly #options: RedisClientOptions
  readonly #breaker: Breaker
  #client: Client | undefined
  #inFlight = 0
  #isClosed = false
  #close = (): void => {}
  readonly #closed = new Promise<void>((resolve) => {
    this.#close = resolve
  })
  #isRefused = false
  #isOpening = false
  /** Why the store is not used; undefined: it is. */
  #trouble: string | undefined = 'not connected yet'

  constructor(options: RedisClientOptions) {
    this.#options = options
    this.#breaker = new Breaker({ now: options.steady })
    options.metrics.unused = 1
  }

  /** Why the store is not used at the moment; undefined: it is. */
  get trouble(): string | undefined {
    return this.#trouble
  }

  /** Loads the client and begins to connect. Resolves at once if that was done, and never rejects. */
  async open(): Promise<void> {
    if (this.#isOpening || this.#isClosed) return
    this.#isOpening = true
    try {
      const client = await connect(this.#options.config, (error) => this.#failed(error))
      const former = this.#client
      if (this.#isClosed) {
        client.disconnect()
        return
      }
      this.#client = client
      this.#isRefused = false
      former?.disconnect()
      // Without a listener each would be printed.
      client.on('error', (error: Error) => {
        this.#failed(error)
        // A store that sends what it was not asked for does not stop by itself.
        if (error.message.startsWith('Command queue state error')) client.disconnect(true)
      })
      client.on('ready', () => {
        this.#works()
        this.#options.connected?.()
      })
      if (client instanceof Cluster) this.#watchPrimaries(client)
      client.connect().catch(() => {})
    } catch (thrown) {
      this.#failed(thrown)
    } finally {
      this.#isOpening = false
    }
  }

  /** Resolves when it is connected, is closed, or after so long. */
  async ready(limitMs: number): Promise<void> {
    const client = this.#client
    if (client === undefined || client.status === 'ready') return
    const connected = new Promise((resolve) => client.once('ready', resolve))
    await this.#within(limitMs, Promise.race([connected, this.#closed]))
  }

  /**
   * Runs a script.
   *
   * @param limitMs how long its answer is awaited
   * @param late told of an answer that came after that
   * @returns undefined: the store has no answer
   */
  script(
    name: ScriptName,
    args: readonly string[],
    limitMs: number,
    late?: (reply: unknown) => void,
  ): Promise<unknown> {
    const send = async (client: Client) =>
      (client as unknown as Commands)[`${SCRIPT_PREFIX}${name}`]?.(...args)
    return this.#send(name, send, { limitMs, late })
  }

  /** A part of the names that match a pattern, and where the next part begins; of a cluster none. */
  scan(pattern: string, cursor: string, limitMs: number): Promise<unknown> {
    const scan = async (client: Client) =>
      client instanceof Cluster ? ['0', []] : client.scan(cursor, 'MATCH', pattern, 'COUNT', 500)
    return this.#send('scan', scan, { limitMs })
  }

  /**
   * @returns the text; null: there is none, or one that is longer than any entry, and is not fetched; undefined: the store
   * has no answer
   */
  async get(name: string, limitMs: number): Promise<string | null | undefined> {
    const get = (client: Client) => client.getrange(name, 0, MAX_ENTRY_BYTES)
    const reply = await this.#send('get', get, { limitMs })
    if (typeof reply !== 'string') return undefined
    return reply === '' || Buffer.byteLength(reply) > MAX_ENTRY_BYTES ? null : reply
  }

  async set(name: string, text: string, keepMs: number, limitMs: number): Promise<void> {
    await this.#send('set', (client) => client.set(name, text, 'PX', keepMs), { limitMs })
  }

  /** It is tried although the store is left alone. @returns whether the store has no such value now */
  async delete(name: string, limitMs: number): Promise<boolean> {
    const del = (client: Client) => client.del(name)
    return typeof (await this.#send('del', del, { limitMs, isUrgent: true })) === 'number'
  }

  /** What was sent is still answered, within the limit. */
  async close(limitMs: number): Promise<void> {
    this.#isClosed = true
    this.#close()
    const client = this.#client
    if (client === undefined) return
    const quit = async (): Promise<unknown> => client.quit()
    if (client.status === 'ready') await this.#within(limitMs, quit()).catch(() => {})
    client.disconnect()
  }

  async #send(
    command: string,
    send: (client: Client) => Promise<unknown>,
    { isUrgent = false, late, limitMs }: SendOptions,
  ): Promise<unknown> {
    const { metrics, steady } = this.#options
    const isUsable = limitMs > 0 && this.#inFlight < MAX_IN_FLIGHT
    const client = isUsable ? this.#connected() : undefined
    if (client === undefined || !(isUrgent || this.#breaker.admit(''))) {
      metrics.leftAlone += 1
      return undefined
    }
    const startedMs = steady()
    this.#inFlight += 1
    const sent = (async () => send(client))().finally(() => {
      this.#inFlight -= 1
    })
    try {
      const reply = await this.#within(limitMs, sent)
      if (reply === LATE) {
        this.#failed(new Error(`${command}: no answer within ${Math.ceil(limitMs)} ms`))
        sent.then(late, () => {})
        return undefined
      }
      metrics.commands.record(steady() - startedMs)
      this.#works()
      return reply
    } catch (thrown) {
      if (!ANSWERED.test(reasonOf(thrown))) this.#failed(thrown)
      return undefined
    }
  }

  #connected(): Client | undefined {
    const client = this.#client
    if (client?.status === 'ready') return client
    // Its files may be there by now, or hold other secrets. And a client ends for good where a sentinel tells of a failover
    // while it asks that sentinel for the primary.
    const isToOpen = client === undefined || client.status === 'end' || this.#isRefused
    if (isToOpen && !this.#isOpening && this.#breaker.admit('')) void this.open()
    return undefined
  }

  /** The client stays connected while another node takes over from one that is lost. */
  #watchPrimaries(cluster: Cluster): void {
    const { clock, connected } = this.#options
    if (connected === undefined) return
    let known: string | undefined
    cluster.on('refresh', () => {
      const nodes = cluster.nodes('master').map(({ options: { host, port } }) => `${host}:${port}`)
      const primaries = nodes.sort().join(' ')
      if (known !== undefined && primaries !== known) connected()
      known = primaries
    })
    // What is sent then is sent again until a primary takes it.
    cluster.on('-node', () => clock.after(LOST_NODE_MS, () => this.#isClosed || connected()))
  }

  #works(): void {
    this.#breaker.success('')
    if (this.#trouble === undefined) return
    this.#trouble = undefined
    this.#options.metrics.unused = 0
    this.#options.logger.info({ store: this.#options.config.url }, 'the shared store is used')
  }

  #failed(thrown: unknown): void {
    const { config, logger, metrics } = this.#options
    if (this.#isClosed) return
    const reason = reasonOf(thrown)
    if (REFUSED.test(reason)) this.#isRefused = true
    this.#breaker.failure('')
    const isNew = this.#trouble === undefined || this.#trouble === 'not connected yet'
    this.#trouble = reason
    metrics.unused = 1
    if (!isNew) return
    const next = 'each node asks registries itself until it answers again'
    logger.warn({ store: config.url, reason, next }, 'the shared store is left alone')
  }

  /** A reply that has arrived counts, however late the timer runs. */
  async #within<T>(ms: number, work: Promise<T>): Promise<T | typeof LATE> {
    let cancel = (): void => {}
    const limit = new Promise<typeof LATE>((resolve) => {
      cancel = this.#options.clock.after(ms, () => setImmediate(() => resolve(LATE)))
    })
    try {
      return await Promise.race([work, limit])
    } finally {
      cancel()
    }
  }
}

const LATE = Symbol('late')

interface SendOptions {
  readonly limitMs: number
  readonly late?: ((reply: unknown) => void) | undefined
  readonly isUrgent?: boolean
}

/** Of what a store says, which is logged. */
const MAX_REASON = 300

/** Of a cluster, what its nodes said. */
function reasonOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return oneLine(String(thrown), MAX_REASON)
  const { lastNodeError } = thrown as { readonly lastNodeError?: unknown }
  const said = lastNodeError instanceof Error ? ` ${lastNodeError.message}` : ''
  return oneLine(`${thrown.message}${said}`, MAX_REASON)
}
