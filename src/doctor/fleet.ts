import { VERSION } from '../../api/version.ts'
import type { ResolverEntry } from '../config/config.ts'
import { toResolveError } from '../errors.ts'
import { fieldsOf, parseJson } from '../json.ts'
import { endpointName, endpointUrl } from '../registry/endpoint.ts'
import { readBody } from '../registry/response.ts'
import { Transport } from '../registry/transport/transport.ts'
import { askStore } from '../service/open.ts'
import { lineWith } from './kubelet.ts'
import { type Found, reasonOf, type Subject } from './subject.ts'

// Without the store, and without resolvers, nodes ask registries themselves: none of this is an error.

const MIN_KEY_BYTES = 16
const ALONE = 'this node shares no answers, and asks registries itself'

/** The key that entries of the store are signed with: too short. That it is not there is said of all named files. */
export async function storeKey({ loaded, machine }: Subject): Promise<readonly Found[]> {
  const file = loaded?.config.cache.shared?.key
  const key = file === undefined ? undefined : await machine.files.read(file)
  if (file === undefined || key === undefined) return []
  const bytes = Buffer.byteLength(key.trim())
  if (bytes >= MIN_KEY_BYTES) return []
  return [
    {
      severity: 'error',
      file,
      problem: `the key of the shared store has ${bytes} bytes, and ${MIN_KEY_BYTES} are the least`,
      consequence: `the store is not opened: ${ALONE}`,
      mend: `openssl rand -hex 32 >${file}, the same one on all nodes`,
    },
  ]
}

/** What a store says to a user that it does not let in, or that may not do what is needed. */
const REFUSED = /WRONGPASS|NOAUTH|invalid password|invalid username|AUTH.*without any password/i
const FORBIDDEN = /NOPERM|user executing the script can't/i

/** The store that nodes share: out of reach, refusing, or shared with nodes that have another key. */
export async function sharedStore(subject: Subject): Promise<readonly Found[]> {
  const { configFile, loaded } = subject
  const shared = loaded?.config.cache.shared
  if (shared === undefined || (await storeKey(subject)).length > 0) return []
  const at = (found: Omit<Found, 'severity' | 'file' | 'line'>): Found => ({
    severity: 'warning',
    ...(configFile !== undefined && {
      file: configFile,
      ...lineWith(subject, configFile, shared.url),
    }),
    ...found,
  })
  const found = await askStore(shared).catch(reasonOf)
  if (typeof found !== 'string') {
    const { others, unsigned } = found
    return [
      ...(others === 0
        ? []
        : [
            at({
              problem: `${shared.url}: nodes with another key use it (${others} ${others === 1 ? 'key' : 'keys'})`,
              consequence: 'they and this node share nothing with each other',
              mend: 'bring the same cache.shared.key to all nodes; after a change of the key wait for an hour',
            }),
          ]),
      ...(unsigned === 0
        ? []
        : [
            at({
              problem: `${shared.url}: ${unsigned} entries are not signed with the key of this fleet`,
              consequence: 'they are passed over; something that has no key writes to the store',
              mend: 'find out what it is (`CLIENT LIST`, `ACL LOG`), and give the store a password',
            }),
          ]),
    ]
  }
  const problem = found.startsWith(shared.url) ? found : `${shared.url}: ${found}`
  const consequence = `while that is so ${ALONE}`
  if (REFUSED.test(found)) {
    const mend = 'correct username and the file of cache.shared.passwordFile; it is read again'
    return [at({ problem, consequence, mend })]
  }
  if (FORBIDDEN.test(found)) {
    const mend = 'give its user the commands that docs/fleet.md lists'
    return [at({ problem, consequence, mend })]
  }
  const tls = shared.address.isTls ? 'is its authority in cache.shared.tls.ca, ' : ''
  const mend = `is it up, is its address right (redis:// or rediss://, and port), ${tls}does a firewall stand between?`
  return [at({ problem, consequence, mend })]
}

const LIMIT_MS = 5_000
const MAX_BODY_BYTES = 64 * 1024

/** Services that are asked before registries: out of reach, other programs, or refusing the token. */
export async function resolvers(subject: Subject): Promise<readonly Found[]> {
  const { configFile, loaded } = subject
  const transport = new Transport({ now: () => performance.now() })
  try {
    const found = await Promise.all(
      (loaded?.config.resolvers ?? []).map(async (entry): Promise<readonly Found[]> => {
        const { host } = entry.endpoint
        const trouble = await troubleOf(entry, subject, transport)
        if (trouble === undefined) return []
        const [problem, mend] = trouble
        return [
          {
            severity: 'warning',
            ...(configFile !== undefined && {
              file: configFile,
              ...lineWith(subject, configFile, host),
            }),
            problem: `${endpointName(entry.endpoint)}: ${problem}`,
            consequence: 'it is left alone, and this node asks the next resolver, or registries',
            mend,
          },
        ]
      }),
    )
    return found.flat()
  } finally {
    await transport.close()
  }
}

type Trouble = readonly [problem: string, mend: string]

async function troubleOf(
  { endpoint, tokenFile }: ResolverEntry,
  { machine }: Subject,
  transport: Transport,
): Promise<Trouble | undefined> {
  const { prefix } = endpoint
  const ask = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const url = new URL(prefix === '' ? path : `/${prefix}${path}`, endpointUrl(endpoint))
    const signal = AbortSignal.timeout(LIMIT_MS)
    const call = { method: 'GET', endpoint, reach: 'anywhere', signal } as const
    const response = await transport.send({ ...call, url, headers })
    const body = fieldsOf(parseJson((await readBody(response, MAX_BODY_BYTES))?.toString() ?? ''))
    return { status: response.status, body }
  }
  try {
    const { body } = await ask('/livez')
    if (body['status'] !== 'live') {
      return ['what answers there is no image-resolver', 'correct its url (host, port and path)']
    }
    const token = tokenFile === undefined ? undefined : await machine.files.read(tokenFile)
    const headers = token === undefined ? {} : { authorization: `Bearer ${token.trim()}` }
    const { body: said, status } = await ask('/version', headers)
    if (status === 401 || status === 403) {
      return token === undefined
        ? ['it wants a token, and there is none for it', 'set its tokenFile']
        : ['it refuses the token', `write its http.token into ${tokenFile}`]
    }
    const { version } = said
    if (typeof version !== 'string' || version === VERSION) return undefined
    const problem = `its version is ${version.slice(0, 64)}, of this program ${VERSION}`
    return [problem, 'bring both to one version']
  } catch (thrown) {
    const { message } = toResolveError(thrown)
    const mend =
      'is it up, is its url right, is its authority in its `ca`, does a firewall stand between?'
    return [message, mend]
  }
}
