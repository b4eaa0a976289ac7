import { createHash, X509Certificate } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import type { SecureContext } from 'node:tls'
import { LRUCache } from 'lru-cache'
import { messageOf, ResolveError } from '../../errors.ts'
import { hashOf } from '../../reference/digest.ts'
import { oneLine } from '../../reference/quote.ts'
import type { EndpointTls } from '../endpoint.ts'

/** Loaded with the first connection that needs it: 6 ms, for which Node 24 reads the authorities of the machine. */
export const https = () => process.getBuiltinModule('node:https')

/** What connections are opened with; those with the same key may be shared. */
export interface TlsIdentity {
  readonly key: string
  /** undefined: Node's default. */
  readonly context: SecureContext | undefined
  /** false: any certificate is accepted. */
  readonly verify: boolean
}

/** The files of a registry's TLS settings. */
interface Material {
  readonly authorities: readonly PemFile[]
  readonly certificate: PemFile | undefined
  readonly key: PemFile | undefined
}

const PLAIN: TlsIdentity = { key: '', context: undefined, verify: true }
const MAX_CONTEXTS = 64
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/

/** Makes TLS identities from settings and files. */
export class TlsIdentities {
  readonly #files = new PemFiles()
  /** Creating one parses all authorities: too slow for every connection. */
  readonly #contexts = new LRUCache<string, SecureContext>({ max: MAX_CONTEXTS })
  readonly #ca: string | undefined

  /** @param ca an authority (PEM) trusted everywhere, beside the well-known ones */
  constructor(ca?: string) {
    this.#ca = ca
  }

  /**
   * A registry's authorities are trusted for its token service and for targets of its redirects, too: mostly one
   * company runs them all. The client certificate and `insecureSkipVerify` are for the registry alone.
   *
   * @param host of the settings, for error texts
   * @param own whether the connection is to that host itself
   * @throws ResolveError UNAVAILABLE with step `connect`, naming the file that cannot be used
   */
  async identity(tls: EndpointTls | undefined, host: string, own: boolean): Promise<TlsIdentity> {
    const { caFiles = [], certFile, keyFile, insecureSkipVerify = false } = tls ?? {}
    const read = (path: string) =>
      this.#files.read(path).catch((error: unknown) => {
        throw unusable(host, path, error)
      })
    const material: Material = {
      authorities: await Promise.all(caFiles.map(read)),
      certificate: own && certFile !== undefined ? await read(certFile) : undefined,
      key: own && keyFile !== undefined ? await read(keyFile) : undefined,
    }
    const verify = !(own && insecureSkipVerify)
    const { authorities, certificate, key } = material
    if (authorities.length === 0 && certificate === undefined && this.#ca === undefined) {
      return verify ? PLAIN : { key: 'insecure', context: undefined, verify }
    }
    const versions = [authorities.map(({ version }) => version), certificate?.version, key?.version]
    const name = createHash('sha256').update(JSON.stringify(versions)).digest('hex')
    const context = this.#contexts.get(name) ?? this.#context(material, host, tls)
    this.#contexts.set(name, context)
    return { key: `${name}${verify ? '' : ' insecure'}`, context, verify }
  }

  #context(
    { authorities, certificate, key }: Material,
    host: string,
    tls: EndpointTls | undefined,
  ): SecureContext {
    for (const [index, { text }] of authorities.entries()) {
      checkAuthority(host, tls?.caFiles?.[index] ?? '', text)
    }
    const { createSecureContext, rootCertificates } = process.getBuiltinModule('node:tls')
    const own = this.#ca === undefined ? [] : [this.#ca]
    try {
      return createSecureContext({
        ca: [...rootCertificates, ...own, ...authorities.map(({ text }) => text)],
        cert: certificate?.text,
        key: key?.text,
      })
    } catch (error) {
      throw unusable(host, `${tls?.certFile} with ${tls?.keyFile}`, error)
    }
  }
}

/** OpenSSL takes a file without a certificate for an empty list, and then refuses every server. */
function checkAuthority(host: string, path: string, text: string): void {
  const [first] = CERTIFICATE.exec(text) ?? []
  if (first === undefined) throw unusable(host, path, new Error('it holds no PEM certificate'))
  try {
    new X509Certificate(first)
  } catch (error) {
    throw unusable(host, path, error)
  }
}

function unusable(host: string, path: string, error: unknown): ResolveError {
  const said = oneLine(messageOf(error).replace(/^error:[^:]*:([^:]*:)+/, ''))
  return new ResolveError('UNAVAILABLE', `${host}: its TLS file ${path} cannot be used: ${said}`, {
    step: 'connect',
    cause: error,
  })
}

/** A file as it was when it was read last. */
export interface PemFile {
  readonly text: string
  /** A hash of the text. */
  readonly version: string
}

interface Kept extends PemFile {
  readonly stamp: string
}

/** A bundle of all well-known authorities has a quarter of that. */
const MAX_BYTES = 1024 * 1024
const MAX_FILES = 1_000

/** Files that are read when used, and again when they changed: certificates are renewed in place. */
export class PemFiles {
  readonly #kept = new LRUCache<string, Kept>({ max: MAX_FILES })

  /** @throws Error of the file system; Error for more than 1 MiB, and for what is no regular file */
  async read(path: string): Promise<PemFile> {
    // Kubernetes renews by moving a symbolic link, which changes the inode.
    const found = await stat(path)
    // Opening a pipe waits for a writer.
    if (!found.isFile()) throw new Error('it is no file')
    const { mtimeMs, ctimeMs, size, ino } = found
    const stamp = [mtimeMs, ctimeMs, size, ino].join(' ')
    const kept = this.#kept.get(path)
    if (kept?.stamp === stamp) return kept
    const bytes = await readBounded(path)
    const read = { text: bytes.toString(), version: hashOf('sha256', bytes), stamp }
    this.#kept.set(path, read)
    return read
  }
}

/** Read through one handle up to the limit: the size may have changed since stat. */
async function readBounded(path: string): Promise<Buffer> {
  const file: FileHandle = await open(path, 'r')
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(MAX_BYTES + 1), 0, MAX_BYTES + 1, 0)
    if (bytesRead > MAX_BYTES) throw new Error('it is larger than 1 MiB')
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}
