import { lookup } from 'node:dns/promises'
import { request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { rootCertificates, TLSSocket } from 'node:tls'
import { type ErrorCode, toResolveError } from '../errors.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import { Proxies } from '../registry/transport/proxy.ts'
import { createCore } from '../service/core.ts'
import { silentLogger } from '../telemetry/log.ts'
import { reasonOf, type Subject } from './subject.ts'

/** What one registry answered to a question without credentials, whatever its certificate. */
interface Probe {
  readonly entry: RegistryEntry
  /** Why its name has no address, as a code of the system where there is one. */
  readonly unknownName?: string
  /** Why it cannot be reached. */
  readonly failure?: string
  readonly certificate?: { readonly validFrom: string; readonly validTo: string }
  /** OpenSSL's code, where the certificate is not accepted. */
  readonly refused?: string
  /** Of its clock, less ours. */
  readonly skewMs?: number
  /** It wants a user and a password of every client. */
  readonly wantsPassword?: boolean
}

/** What one registry answered to the service's own question, with credentials and through proxies. */
interface Ping {
  readonly entry: RegistryEntry
  readonly hasCredentials: boolean
  readonly status?: 200 | 401
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

const PROBE_LIMIT_MS = 5_000
/** Of a login and a question. */
const PING_LIMIT_MS = 10_000
const AT_ONCE = 16

/** What is asked of the network, once for all checks. */
export class Network {
  readonly #subject: Subject
  #probes: Promise<readonly Probe[]> | undefined
  #pings: Promise<readonly Ping[]> | undefined

  constructor(subject: Subject) {
    this.#subject = subject
  }

  probes(): Promise<readonly Probe[]> {
    this.#probes ??= probeAll(this.#subject)
    return this.#probes
  }

  pings(): Promise<readonly Ping[]> {
    this.#pings ??= pingAll(this.#subject)
    return this.#pings
  }
}

async function pingAll({ loaded }: Subject): Promise<readonly Ping[]> {
  if (loaded === undefined) return []
  const core = createCore(loaded.config, silentLogger())
  const ping = async (entry: RegistryEntry): Promise<Ping> => {
    const { endpoint } = entry
    let hasCredentials = false
    try {
      const credentials = await core.keychain.credentials(endpoint.host, '', entry)
      hasCredentials = credentials !== undefined
      const { status } = await (await core.images()).ping({
        endpoint,
        configured: true,
        signal: AbortSignal.timeout(PING_LIMIT_MS),
        ...(credentials !== undefined && { credentials }),
      })
      return { entry, hasCredentials, status }
    } catch (thrown) {
      const { code, message } = toResolveError(thrown)
      return { entry, hasCredentials, error: { code, message } }
    }
  }
  try {
    return await eachOf(loaded.config.registries, ping)
  } finally {
    await core.close()
  }
}

/** A configuration may have 256 of them. */
async function eachOf<T>(
  entries: readonly RegistryEntry[],
  ask: (entry: RegistryEntry) => Promise<T>,
): Promise<readonly T[]> {
  const found: T[] = []
  for (let at = 0; at < entries.length; at += AT_ONCE) {
    found.push(...(await Promise.all(entries.slice(at, at + AT_ONCE).map(ask))))
  }
  return found
}

async function probeAll({ loaded, machine, now }: Subject): Promise<readonly Probe[]> {
  const { proxy, registries = [] } = loaded?.config ?? {}
  const proxies = new Proxies(proxy)
  const direct = registries.filter(
    ({ endpoint: { host, scheme } }) => proxies.of(new URL(`${scheme}://${host}`)) === undefined,
  )
  return eachOf(direct, async (entry) => {
    const read = (file: string) => machine.files.read(file).catch(() => undefined)
    const own = await Promise.all((entry.endpoint.tls?.caFiles ?? []).map(read))
    return probe(
      entry,
      own.filter((text) => text !== undefined),
      now,
    )
  })
}

async function probe(
  entry: RegistryEntry,
  own: readonly string[],
  now: () => number,
): Promise<Probe> {
  const { host, scheme } = entry.endpoint
  const url = new URL(`${scheme}://${host}/v2/`)
  try {
    await lookup(url.hostname.replace(/^\[|\]$/g, ''))
  } catch (thrown) {
    return { entry, unknownName: (thrown as NodeJS.ErrnoException).code ?? reasonOf(thrown) }
  }
  return new Promise((resolve) => {
    let tls: Pick<Probe, 'certificate' | 'refused'> = {}
    // Nothing secret is sent, so that also a server which is not accepted may be looked at.
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const sent = send(url, {
      agent: false,
      timeout: PROBE_LIMIT_MS,
      ...(url.protocol === 'https:' && {
        ca: [...rootCertificates, ...own],
        rejectUnauthorized: false,
      }),
    })
    const end = (more: Partial<Probe>): void => {
      sent.destroy()
      resolve({ entry, ...tls, ...more })
    }
    sent.once('socket', (socket) => {
      if (!(socket instanceof TLSSocket)) return
      socket.once('secureConnect', () => {
        const { valid_from: validFrom, valid_to: validTo } = socket.getPeerCertificate()
        const { authorizationError } = socket
        const refused: unknown = authorizationError
        tls = {
          ...(validTo !== undefined && { certificate: { validFrom, validTo } }),
          ...(refused
            ? { refused: refused instanceof Error ? codeOf(refused) : String(refused) }
            : {}),
        }
      })
    })
    sent.once('response', ({ headers }) => {
      const at = Date.parse(headers.date ?? '')
      const wantsPassword = /^basic /i.test(headers['www-authenticate'] ?? '')
      end({ wantsPassword, ...(!Number.isNaN(at) && { skewMs: at - now() }) })
    })
    sent.once('timeout', () => end({ failure: `it did not answer in ${PROBE_LIMIT_MS / 1_000} s` }))
    sent.once('error', (thrown) => end({ failure: codeOf(thrown) }))
    sent.end()
  })
}

function codeOf(thrown: Error): string {
  return (thrown as NodeJS.ErrnoException).code ?? thrown.message
}
