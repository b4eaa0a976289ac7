import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { reservePort } from './port.ts'
import { type Program, startProgram } from './program.ts'
import { type Cleanup, makeFolder, removeFolder } from './stack.ts'

/** What a registry that wants credentials accepts. */
export const REGISTRY_USER = { username: 'puller', password: 'not:a:secret' } as const
const HTPASSWD = 'puller:$2y$04$abcdefghijklmnopqrstuuSMQsH1l/SviK/TTQXV5C8uD1164qcOK\n'

export interface DockerRegistryOptions {
  /** Answer 401 to all but REGISTRY_USER. */
  readonly auth?: boolean
  /** Be a pull-through cache of the registry at this URL. */
  readonly proxyOf?: string
}

/** What it can be started again with. */
export interface DockerRegistrySettings {
  /** Speak TLS; with `clientCert` to those alone who show that very certificate. PEM. */
  readonly tls?: { readonly cert: string; readonly key: string; readonly clientCert?: string }
  /** Send everybody to a token service, and believe what this certificate's key signed. */
  readonly token?: { readonly realm: string; readonly service: string; readonly cert: string }
  /** `notifications:` of its configuration. */
  readonly notifications?: object
}

/** Who signs tokens, as the registry expects it. */
export const TOKEN_ISSUER = 'test'

export interface DockerRegistry {
  /** `127.0.0.1:port` */
  readonly host: string
  /** `http://127.0.0.1:port` */
  readonly url: string
  readonly port: number
  /** The header that lets REGISTRY_USER in, for pushing; empty without auth. */
  readonly headers: Readonly<Record<string, string>>
  /** Ends it; its port refuses connections, what was pushed stays. */
  stop(): Promise<void>
  /** Starts it again on the same port, after stop(). */
  start(settings?: DockerRegistrySettings): Promise<void>
  log(): string
}

/** Debian's docker-registry, plain HTTP on a loopback port, gone after the test. */
export async function startDockerRegistry(
  t: Cleanup,
  options: DockerRegistryOptions = {},
): Promise<DockerRegistry> {
  const auth = options.auth ?? false
  const folder = makeFolder()
  const configFile = join(folder, 'config.json')
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'htpasswd'), HTPASSWD)
  let program: Program | undefined
  const port = await reservePort(t)

  async function start(settings: DockerRegistrySettings = {}): Promise<void> {
    const { proxyOf } = options
    const written = {
      ...configuration(folder, port, auth),
      ...tokenAuth(folder, settings),
      ...(settings.notifications && { notifications: settings.notifications }),
      ...(proxyOf === undefined ? {} : { proxy: { remoteurl: proxyOf } }),
    }
    Object.assign(written.http, tlsOf(folder, settings))
    writeFileSync(configFile, JSON.stringify(written))
    program = startProgram('docker-registry', ['serve', configFile])
    await program.line(/listening on 127\.0\.0\.1:\d+/)
  }
  const stop = async () => program?.stop()

  t.after(async () => {
    await stop()
    await removeFolder(folder)
  })
  await start()
  const basic = Buffer.from(`${REGISTRY_USER.username}:${REGISTRY_USER.password}`)
  return {
    host: `127.0.0.1:${port}`,
    url: `http://127.0.0.1:${port}`,
    port,
    headers: auth ? { authorization: `Basic ${basic.toString('base64')}` } : {},
    stop,
    start,
    log: () => program?.output() ?? '',
  }
}

function tlsOf(folder: string, { tls }: DockerRegistrySettings): object {
  if (tls === undefined) return {}
  const write = (name: string, text: string) => {
    writeFileSync(join(folder, name), text)
    return join(folder, name)
  }
  const clientcas = tls.clientCert === undefined ? [] : [write('client.pem', tls.clientCert)]
  const [certificate, key] = [write('cert.pem', tls.cert), write('key.pem', tls.key)]
  return { tls: { certificate, key, clientcas } }
}

function tokenAuth(folder: string, { token }: DockerRegistrySettings): object {
  if (token === undefined) return {}
  const { cert, ...service } = token
  const rootcertbundle = join(folder, 'tokens.pem')
  writeFileSync(rootcertbundle, cert)
  return { auth: { token: { ...service, issuer: TOKEN_ISSUER, rootcertbundle } } }
}

// JSON is YAML too.
function configuration(folder: string, port: number, auth: boolean) {
  return {
    version: 0.1,
    log: { level: 'info', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'data') }, delete: { enabled: true } },
    http: { addr: `127.0.0.1:${port}`, secret: 'of this test alone' },
    ...(auth ? { auth: { htpasswd: { realm: 'test', path: join(folder, 'htpasswd') } } } : {}),
  }
}
