import { mkdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Config } from '../../config/config.ts'
import { findConfigFile } from '../../config/files.ts'
import { loadConfig } from '../../config/load.ts'
import { isOwnHosts } from '../../config/sources/hosts-toml.ts'
import { isLocalListen, listenUrl, parseListen, reachable } from '../../config/values.ts'
import { codeOf, ResolveError } from '../../errors.ts'
import { unwritable } from '../../host/unwritable.ts'
import { writeWhole } from '../../host/whole-file.ts'
import { quote } from '../../reference/quote.ts'
import type { CliContext } from '../context.ts'
import { fileOf, type Values } from '../options.ts'
import { type HostsFolder, type HostsPlan, planDirectHosts, planHosts } from './hosts-plan.ts'

/**
 * Tells containerd, by hosts.toml files, to pull through our mirror end-point, and how to reach
 * registries of plain http or with TLS settings of their own; with `direct` the latter alone.
 *
 * @throws ResolveError CONFIG_INVALID for a server or folder that cannot be meant, DENIED for files of
 * another program; ConfigError
 */
export async function containerdHostsCommand(
  _words: readonly string[],
  values: Values,
  { stderr, stdout }: Pick<CliContext, 'stdout' | 'stderr'>,
): Promise<0> {
  const { direct = false, force = false, portoshim, server, write } = values
  const file = await findConfigFile(fileOf(values))
  const { config, warnings } = await loadConfig({ file, portoshim })
  const { folders, notes } = direct
    ? { folders: planDirectHosts(config.registries), notes: [] }
    : planOf(config, server)
  for (const warning of [...warnings, ...notes]) stderr.write(`warning: ${warning}\n`)
  if (typeof write !== 'string') {
    stdout.write(folders.map(({ name, text }) => `# ${name}/hosts.toml\n${text}`).join('\n'))
    return 0
  }
  checkNotHostsDir(write, config)
  for (const { file: path, outcome } of await writeHosts(write, folders, force)) {
    stdout.write(`${path}: ${outcome}\n`)
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
  return listenUrl(reachable(where, '127.0.0.1'), http.tls)
}

function checkServer(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isOrigin = url !== undefined && `${url.protocol}//${url.host}` === text.replace(/\/$/, '')
  if (isOrigin && /^https?:$/.test(url.protocol)) return url.origin
  const problem = 'is not where a server is: write http://127.0.0.1:9430, or https:// and a host'
  throw new ResolveError('CONFIG_INVALID', `--server ${quote(text)} ${problem}`)
}

/** `hostsDir` names the mirrors; our own files there would hide them. */
function checkNotHostsDir(folder: string, { hostsDir }: Config): void {
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

interface WrittenHosts {
  readonly file: string
  readonly outcome: 'written' | 'as it was'
}

/**
 * Writes hosts.toml files, each of them whole or not at all. containerd reads them at the next pull.
 *
 * @param force also replace files that another program wrote
 * @param directory where it is written; made when the folder above it is there
 * @throws ResolveError DENIED when there is such a file, and then nothing is written; DENIED, too, for a
 * folder that cannot be written to
 */
export async function writeHosts(
  directory: string,
  folders: readonly HostsFolder[],
  force: boolean,
): Promise<readonly WrittenHosts[]> {
  await checkFolder(directory)
  const wanted = await Promise.all(
    folders.map(async ({ name, text }) => {
      const file = join(directory, name, 'hosts.toml')
      return { file, folder: join(directory, name), text, there: await textOf(file) }
    }),
  )
  const foreign = wanted.filter(({ there }) => there !== undefined && !isOwnHosts(there))
  if (foreign.length > 0 && !force) {
    const files = foreign.map(({ file }) => file).join(', ')
    const how = 'nothing was written; choose another folder, or replace them with --force'
    throw new ResolveError('DENIED', `not written by image-resolver: ${files}: ${how}`)
  }
  const results: WrittenHosts[] = []
  for (const { file, folder, text, there } of wanted) {
    if (there !== text) {
      try {
        await mkdir(folder, { recursive: true, mode: 0o755 })
        await writeWhole(file, `${file}.${process.pid}.new`, text, 0o644)
      } catch (thrown) {
        throw unwritable(file, thrown)
      }
    }
    results.push({ file, outcome: there === text ? 'as it was' : 'written' })
  }
  return results
}

/** Node 20 never comes back from a recursive mkdir below /proc. */
async function checkFolder(directory: string): Promise<void> {
  const kind = await stat(directory).catch((thrown: unknown) => {
    if (codeOf(thrown) !== 'ENOENT') throw unwritable(directory, thrown)
    return mkdir(directory, { mode: 0o755 }).catch((cause: unknown) => {
      throw unwritable(directory, cause)
    })
  })
  if (kind?.isDirectory() === false) {
    throw new ResolveError('DENIED', `${directory} is no folder; name one with --write`)
  }
}

async function textOf(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if (codeOf(thrown) === 'ENOENT') return undefined
    throw unwritable(file, thrown)
  }
}
