import { open, stat } from 'node:fs/promises'
import { BlockList, connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { AbstractConnector, Cluster, Redis, type RedisOptions, SentinelConnector } from 'ioredis'
import type { SharedStoreConfig, StoreHost } from '../config/config.ts'
import { quote } from '../reference/quote.ts'
import { ReplyLimit } from './reply-limit.ts'
import { SCRIPTS } from './scripts.ts'

export type Client = Redis | Cluster

/** Scripts become methods of the client, which has some of its own: `nodes`, `publish`. */
export const SCRIPT_PREFIX = 'imageResolver:'
const CONNECT_LIMIT_MS = 2_000
/** A connection that takes commands and answers none of them for this long is made anew. */
const SILENCE_LIMIT_MS = 2_000
const MAX_RETRY_MS = 5_000
const MAX_SECRET_BYTES = 64 * 1024
/** A primary that became a replica: the sentinels, or the cluster, know the new one. */
const DEMOTED = /^(?:READONLY|MASTERDOWN)/

type ConnectorOptions = RedisOptions & ConstructorParameters<typeof SentinelConnector>[0]

/** As those of the client, with a bound on what a reply may hold. */
class BoundedConnector extends AbstractConnector {
  readonly #options: ConnectorOptions
  readonly #sentinels: SentinelConnector | undefined
  /** Nothing that comes is read any more. */
  #isOver = false

  constructor(options: unknown) {
    super((options as { readonly disconnectTimeout: number }).disconnectTimeout)
    this.#options = options as ConnectorOptions
    const isOfSentinels = (this.#options.sentinels ?? []).length > 0
    this.#sentinels = isOfSentinels ? new SentinelConnector(this.#options) : undefined
  }

  override check(info: unknown): boolean {
    return this.#sentinels?.check(info as { role?: string }) ?? true
  }

  override disconnect(): void {
    // The client says so with each reply that it did not ask for.
    if (this.#isOver) return
    this.#isOver = true
    if (this.#sentinels === undefined) super.disconnect()
    else this.#sentinels.disconnect()
  }

  override async connect(emit: (type: string, error: Error) => void): Promise<Socket> {
    this.#isOver = false
    const socket = this.#sentinels ? await this.#sentinels.connect(emit) : this.#open()
    socket.once('error', (error) => {
      this.firstError = error
    })
    const limit = new ReplyLimit()
    // Before the parser, which makes room for as many items as a reply announces.
    const push = socket.push.bind(socket)
    socket.push = (chunk: Buffer | null, encoding?: BufferEncoding): boolean => {
      if (chunk !== null && this.#isOver) return true
      const problem = chunk === null ? undefined : limit.take(chunk)
      if (problem === undefined) return push(chunk, encoding)
      socket.destroy(new Error(problem))
      return false
    }
    return socket
  }

  #open(): Socket {
    const { host, path, port, tls } = this.#options
    const where = path ? { path } : { host: host ?? '', port: port ?? 0 }
    const socket = tls ? connectTls({ ...where, ...tls }) : connectPlain(where)
    this.stream = socket
    return socket
  }
}

/**
 * A client that is not connected yet.
 *
 * @param refused told of an address of which the configuration knows nothing
 * @throws what the file system says, or the client's own errors
 */
export async function connect(
  config: SharedStoreConfig,
  refused: (error: Error) => void,
): Promise<Client> {
  const { address, tls: files, username } = config
  const [password, sentinelPassword, ca, cert, key] = await Promise.all([
    readSecret(config.passwordFile),
    readSecret(config.sentinelPasswordFile),
    readSecret(files?.ca),
    readSecret(files?.cert),
    readSecret(files?.key),
  ])
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  }
  const retryStrategy = (times: number): number =>
    Math.min(100 * 2 ** Math.min(times, 10), MAX_RETRY_MS) * (0.75 + Math.random() / 2)
  const scripts = Object.fromEntries(
    Object.entries(SCRIPTS).map(([name, script]) => [`${SCRIPT_PREFIX}${name}`, script]),
  )
  // Also of what the client opens by itself: connections to sentinels, and one of a cluster for subscriptions.
  const { defaultOptions } = Redis as unknown as { readonly defaultOptions: RedisOptions }
  defaultOptions.Connector = BoundedConnector
  const options: Omit<RedisOptions, 'replyMapping'> = {
    lazyConnect: true,
    // What cannot be sent now is not worth sending later.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    connectTimeout: CONNECT_LIMIT_MS,
    socketTimeout: SILENCE_LIMIT_MS,
    // Understood by every version, and all that is needed.
    protocol: 2,
    disableClientInfo: true,
    connectionName: 'image-resolver',
    retryStrategy,
    reconnectOnError: ({ message }) => DEMOTED.test(message),
    scripts,
    db: address.db,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(address.isTls && { tls }),
  }
  const hosts = address.hosts.filter((where): where is StoreHost => 'host' in where)
  switch (address.kind) {
    case 'cluster': {
      // Connections to nodes are opened at their first command, which has to wait for that.
      const { enableOfflineQueue, retryStrategy: _, ...redisOptions } = options
      return new Cluster([...hosts], {
        lazyConnect: true,
        enableOfflineQueue,
        clusterRetryStrategy: retryStrategy,
        slotsRefreshTimeout: CONNECT_LIMIT_MS,
        scripts,
        redisOptions,
        natMap: (place) => {
          const problem = hostProblem(config, place)
          if (problem === undefined) return null
          refused(problem)
          // A known node answers that it does not have the slot, which ends the command.
          return hosts[0] ?? null
        },
      })
    }
    case 'sentinel':
      return new Redis({
        ...options,
        sentinels: [...hosts],
        // Those of the configuration are all that are asked.
        updateSentinels: false,
        name: address.master ?? '',
        sentinelRetryStrategy: retryStrategy,
        sentinelCommandTimeout: CONNECT_LIMIT_MS,
        failoverDetector: true,
        natMap: (place) => {
          const problem = hostProblem(config, place)
          if (problem !== undefined) throw problem
          return null
        },
        ...(sentinelPassword !== undefined && { sentinelPassword }),
        ...(address.isTls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
      })
    default: {
      const [where] = address.hosts
      return new Redis({ ...options, ...where })
    }
  }
}

/**
 * What a sentinel or a node of a cluster says about addresses crosses the network in the clear without TLS; with it each proves
 * by its certificate that it is the operator's.
 *
 * @param place `host:port`
 * @returns undefined: it may be connected to
 */
function hostProblem(config: SharedStoreConfig, place: string): Error | undefined {
  const { address, addresses } = config
  const host = place.slice(0, place.lastIndexOf(':')).toLowerCase()
  const named = address.hosts.flatMap((where) => ('host' in where ? where.host : []))
  if (address.isTls || [...named, ...addresses].some((each) => isWithin(host, each))) {
    return undefined
  }
  const how = 'add it to cache.shared.addresses, or write rediss'
  return new Error(`the store names ${quote(host)}, which the configuration does not have: ${how}`)
}

/** @param range a host, an IP address, or `network/prefix` */
function isWithin(host: string, range: string): boolean {
  const [network = '', prefix] = range.split('/')
  const [own, family] = [isIP(host), isIP(network)]
  if (own === 0 || family === 0) return host === range.toLowerCase()
  const kind = family === 6 ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  list.addSubnet(network, Number(prefix ?? (family === 6 ? 128 : 32)), kind)
  return list.check(host, own === 6 ? 'ipv6' : 'ipv4')
}

/**
 * Reads a file that the configuration of the store names, without white space around it.
 *
 * @throws what the file system says; Error for one that is too large
 */
export async function readSecret(path: string): Promise<string>
export async function readSecret(path: string | undefined): Promise<string | undefined>
export async function readSecret(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  // Reading a pipe would wait for its writer, perhaps for ever.
  if (!(await stat(path)).isFile()) throw new Error(`${path} is no file`)
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAX_SECRET_BYTES + 1) })
    if (bytesRead > MAX_SECRET_BYTES) throw new Error(`${path} is larger than 64 KiB`)
    return buffer.toString('utf8', 0, bytesRead).trim()
  } finally {
    await file.close()
  }
}
