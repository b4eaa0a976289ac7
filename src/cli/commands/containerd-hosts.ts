import { resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { findConfigFile } from '../../config/files.ts'
import { isLocalListen, parseListen } from '../../config/listen.ts'
import { loadConfig } from '../../config/load.ts'
import { ResolveError } from '../../errors.ts'
import { quote } from '../../reference/quote.ts'
import { writeHosts } from '../hosts-folder.ts'
import { type HostsPlan, planDirectHosts, planHosts } from '../hosts-plan.ts'
import type { FileOption } from '../world.ts'

export interface ContainerdHostsOptions extends FileOption {
  /** Folder to write to; undefined: print. */
  readonly write: string | undefined
  /** Where containerd reaches our HTTP API; undefined: as configured. */
  readonly server: string | undefined
  /** Replace files that somebody else wrote. */
  readonly force: boolean
  /** Only what containerd has to know of the configured registries; nothing of our mirror end-point. */
  readonly direct?: boolean
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
}

/**
 * Tells containerd, by hosts.toml files, to pull through our mirror end-point, and how to reach
 * registries of plain http or with TLS settings of their own; with `direct` the latter alone.
 *
 * @throws ResolveError CONFIG_INVALID for a server or folder that cannot be meant, DENIED for files of
 * somebody else; ConfigError
 */
export async function containerdHostsCommand(options: ContainerdHostsOptions): Promise<0> {
  const {
    direct = false,
    file: explicit,
    force,
    portoshim,
    server,
    stderr,
    stdout,
    write,
  } = options
  const file = await findConfigFile(explicit === undefined ? {} : { explicit })
  const { config, warnings } = await loadConfig({ file, portoshim })
  const { folders, notes } = direct
    ? { folders: planDirectHosts(config.registries), notes: [] }
    : planOf(config, server)
  for (const warning of [...warnings, ...notes]) stderr.write(`warning: ${warning}\n`)
  if (write === undefined) {
    stdout.write(folders.map(({ name, text }) => `# ${name}/hosts.toml\n${text}`).join('\n'))
    return 0
  }
  checkFolder(write, config)
  for (const { file: written, outcome } of await writeHosts(write, folders, force)) {
    stdout.write(`${written}: ${outcome}\n`)
  }
  return 0
}

function planOf(config: Config, server: string | undefined): HostsPlan {
  const mirror = server === undefined ? addressOf(config) : checkServer(server)
  const { folders, notes } = planHosts(config, mirror)
  return { folders, notes: [...notes, ...obstacles(config)] }
}

function addressOf({ http }: Config): string {
  const where = parseListen(http.listen)
  if (where.kind === 'unix') {
    const problem = 'containerd does not pull over a unix socket'
    throw new ResolveError('CONFIG_INVALID', `http.listen: ${problem}; name another with --server`)
  }
  const scheme = http.tls === undefined ? 'http' : 'https'
  // What listens everywhere listens here too.
  const host = where.host === '0.0.0.0' || where.host === '::' ? '127.0.0.1' : where.host
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${where.port}`
}

function checkServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isOrigin = url !== undefined && `${url.protocol}//${url.host}` === text.replace(/\/$/, '')
  if (isOrigin && /^https?:$/.test(url.protocol)) return url.origin
  const problem = 'is not where a server is: write http://127.0.0.1:9430, or https:// and a host'
  throw new ResolveError('CONFIG_INVALID', `--server ${quote(text)} ${problem}`)
}

/** Where we read who the mirrors are, ourselves would hide them. */
function checkFolder(folder: string, { hostsDir }: Config): void {
  if (hostsDir === undefined || resolve(folder) !== resolve(hostsDir)) return
  const how = 'write to another folder, and name that one as `config_path` of containerd'
  throw new ResolveError(
    'CONFIG_INVALID',
    `${folder} is \`hostsDir\`, where mirrors are read: ${how}`,
  )
}

function obstacles({ http, mirror }: Config): readonly string[] {
  const needsToken = http.token !== undefined || http.tokenFile !== undefined
  return [
    ...(mirror.enabled ? [] : ['`mirror.enabled` is not true: /v2/ is not served']),
    ...(needsToken && !isLocalListen(parseListen(http.listen))
      ? ['the token of `http` has to be added to each host by hand: header.authorization']
      : []),
  ]
}
