import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { posix } from 'node:path'
import { codeOf, messageOf, ResolveError } from '../../errors.ts'
import { bracketed } from '../../registry/endpoint.ts'
import { fieldOf, itemsOf, scalarOf, type YamlNode } from '../../yaml/node.ts'
import { refusal } from '../diagnostics.ts'
import { formatDuration } from '../values.ts'
import { parseYaml } from '../yaml.ts'

/** How the API server of Kubernetes is reached, with which credentials. */
interface Access {
  readonly server: URL
  readonly tls: {
    readonly ca?: Buffer
    readonly cert?: Buffer
    readonly key?: Buffer
    readonly rejectUnauthorized?: boolean
    readonly servername?: string
  }
  readonly token?: string
}

/** Where a pod finds its service account (kubernetes.io, "Accessing the Kubernetes API from a Pod"). */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount'
const LIMIT_MS = 5_000
/** A ConfigMap has at most 1 MiB, which JSON may double. */
const MAX_BYTES = 3 * 1024 * 1024
const MAX_TOKEN_LENGTH = 64 * 1024

interface KubeApiOptions {
  /** Absolute path; undefined: the service account of the pod. */
  readonly kubeconfig: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>>
  /** Folder of the service account. */
  readonly serviceAccount?: string
  readonly limitMs?: number
}

/**
 * Asks the API server for one object, within 5 s and 3 MiB. @kubernetes/client-node would do the
 * same for 68 MiB of memory and half a second, more than all the rest of the service takes.
 *
 * @param path `/api/v1/namespaces/kube-system/configmaps/image-cri-shim`
 * @returns undefined: there is none
 * @throws ResolveError CONFIG_INVALID for a kubeconfig that cannot be used, DENIED when the API server
 * refuses, UNAVAILABLE when it does not answer; no message holds a token
 */
export async function getFromKubeApi(path: string, options: KubeApiOptions): Promise<unknown> {
  const { kubeconfig, limitMs = LIMIT_MS } = options
  const access =
    kubeconfig === undefined ? await fromPod(options) : await fromKubeconfig(kubeconfig)
  const { status, body } = await get(access, path, limitMs)
  if (status === 404) return undefined
  const name = access.server.host
  if (status === 401 || status === 403) {
    throw new ResolveError('DENIED', `the API server ${name} does not let us get it (${status})`)
  }
  if (status !== 200) throw unavailable(name, `answers with status ${status}`)
  try {
    return JSON.parse(body)
  } catch (cause) {
    throw unavailable(name, 'answers with no JSON', cause)
  }
}

async function fromPod({
  env = process.env,
  serviceAccount = SERVICE_ACCOUNT,
}: KubeApiOptions): Promise<Access> {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = '443' } = env
  if (host === undefined || host === '') {
    throw refusal('there is no kubeconfig, and this is no pod with a service account')
  }
  const server = serverUrl(`https://${bracketed(host)}:${port}`)
  const [token, ca] = await Promise.all([
    bytesOf(posix.join(serviceAccount, 'token')),
    bytesOf(posix.join(serviceAccount, 'ca.crt')),
  ])
  return { server, tls: { ca }, token: tokenOf(token) }
}

/** kubernetes.io, "Organizing Cluster Access Using kubeconfig Files": the context that is current. */
async function fromKubeconfig(file: string): Promise<Access> {
  const { problems, root } = parseYaml((await bytesOf(file)).toString())
  if (problems.length > 0) throw refusal(`${file} is not YAML`)
  const context = named(root, 'contexts', textIn(root, 'current-context'), 'context')
  const cluster = named(root, 'clusters', textIn(context, 'cluster'), 'cluster')
  const user = named(root, 'users', textIn(context, 'user'), 'user')
  for (const way of ['exec', 'auth-provider', 'username']) {
    if (fieldOf(user, way) !== undefined) {
      throw refusal(`${file}: ${way} is not used; name a user with a certificate or a token`)
    }
  }
  if (fieldOf(cluster, 'proxy-url') !== undefined) throw refusal(`${file}: proxy-url is not used`)
  const server = textIn(cluster, 'server')
  if (server === undefined) throw refusal(`${file}: the current context has no server`)
  const folder = posix.dirname(file)
  const [ca, cert, key] = await Promise.all([
    material(cluster, 'certificate-authority', folder),
    material(user, 'client-certificate', folder),
    material(user, 'client-key', folder),
  ])
  const tokenFile = textIn(user, 'tokenFile')
  const token = tokenFile ? await bytesOf(posix.resolve(folder, tokenFile)) : textIn(user, 'token')
  const name = textIn(cluster, 'tls-server-name')
  return {
    server: serverUrl(server),
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(isTrue(fieldOf(cluster, 'insecure-skip-tls-verify')) && { rejectUnauthorized: false }),
      ...(name === undefined ? {} : { servername: name }),
    },
    ...(token === undefined ? {} : { token: tokenOf(token) }),
  }
}

/** The bytes of `NAME-data`, else of the file that `NAME` is. */
async function material(
  node: YamlNode | undefined,
  name: string,
  folder: string,
): Promise<Buffer | undefined> {
  const data = textIn(node, `${name}-data`)
  if (data) return Buffer.from(data, 'base64')
  const file = textIn(node, name)
  return file ? bytesOf(posix.resolve(folder, file)) : undefined
}

async function get(
  { server, tls, token }: Access,
  path: string,
  limitMs: number,
): Promise<{ readonly status: number; readonly body: string }> {
  const url = new URL(`${server.pathname.replace(/\/$/, '')}${path}`, server)
  const headers = {
    accept: 'application/json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  const signal = AbortSignal.timeout(limitMs)
  try {
    // Throws for a key or a certificate that is none.
    const asked = request(url, { ...tls, headers, signal, agent: false })
    const answered = once(asked, 'response') as Promise<[IncomingMessage]>
    // One that comes after the head is told by the body.
    asked.on('error', () => {}).end()
    const [response] = await answered
    const chunks: Buffer[] = []
    let length = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      length += chunk.length
      if (length > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`)
      chunks.push(chunk)
    }
    return { status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }
  } catch (cause) {
    const problem = signal.aborted
      ? `does not answer within ${formatDuration(limitMs)}`
      : `cannot be asked: ${messageOf(cause)}`
    throw unavailable(server.host, problem, cause)
  }
}

function serverUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:') return url
  throw refusal('the API server is to be asked over https')
}

function tokenOf(value: Buffer | string): string {
  const token = value.toString().trim()
  if (/^[!-~]+$/.test(token) && token.length <= MAX_TOKEN_LENGTH) return token
  throw refusal('the token for the API server is not one')
}

async function bytesOf(file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (cause) {
    throw unreadable(file, cause)
  }
}

/** `contexts: [{name: NAME, context: {…}}]` */
function named(
  root: YamlNode | undefined,
  list: string,
  name: string | undefined,
  field: string,
): YamlNode | undefined {
  const items = itemsOf(fieldOf(root, list))
  return fieldOf(
    items.find((item) => textIn(item, 'name') === name),
    field,
  )
}

/** Text in quotes is no boolean, for kubectl either. */
function isTrue(node: YamlNode | undefined): boolean {
  return node?.kind === 'text' && !node.quoted && /^(?:true|True|TRUE)$/.test(node.text)
}

function textIn(node: YamlNode | undefined, name: string): string | undefined {
  return scalarOf(fieldOf(node, name))
}

function unavailable(name: string, problem: string, cause?: unknown): ResolveError {
  return new ResolveError('UNAVAILABLE', `the API server ${name} ${problem}`, { cause })
}

function unreadable(file: string, cause: unknown): ResolveError {
  const problem = `${file} cannot be read (${codeOf(cause) ?? 'unknown'})`
  return new ResolveError('CONFIG_INVALID', problem, { cause })
}
