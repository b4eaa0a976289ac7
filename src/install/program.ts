import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statfsSync, statSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { ResolveError } from '../errors.ts'
import type { Root } from './root.ts'

/** Where `install` puts the program. */
export const HOME = '/opt/image-resolver'
/** A link to the version that is used. */
export const CURRENT = `${HOME}/current`
export const VERSIONS = `${HOME}/versions`
/** Where packages put it. */
const PACKAGE = '/usr/lib/image-resolver'
export const PACKAGE_UNITS = '/usr/lib/systemd/system'
export const UNITS = ['image-resolver.service', 'image-resolver.socket'] as const
export const UNIT_FOLDER = '/etc/systemd/system'
export const COMMAND = '/usr/local/bin/image-resolver'
export const CACHE = '/var/cache/image-resolver'
/** Files that begin so are written by install alone. */
export const MARK = '# Written by image-resolver install'
export type UnitName = (typeof UNITS)[number]

/** What the program needs, as packages have it; what is not there is not needed. */
const PARTS = [
  'bin',
  'dist/app',
  'dist/page',
  'protos',
  'deploy/image-resolver.service',
  'deploy/image-resolver.socket',
  'deploy/image-resolver.yaml',
  'package.json',
  'node',
  'LICENSE',
  'LICENSE.node',
  'LICENSES.bundled',
]
/** Left free beside the program. */
const SPARE_BYTES = 16 * 1024 * 1024

/** The program that runs here, to be copied. */
export interface Program {
  /** Its version and a part of its digest: `0.1.0-1f2e3d4c5b6a`. */
  readonly name: string
  readonly bytes: number
  /** Path in the program, and where it is now. */
  readonly files: readonly (readonly [name: string, from: string])[]
}

/** The folder of the program that runs here. */
function ownHome(): string {
  return join(import.meta.dirname, '../..')
}

/** With its own Node: that of this process, where none goes with it. */
export function ownProgram(version: string): Program {
  const home = ownHome()
  const files = PARTS.flatMap((part) => filesOf(home, part))
  if (!existsSync(join(home, 'node'))) files.push(['node', process.execPath])
  const hash = createHash('sha256')
  let bytes = 0
  for (const [name, from] of files) {
    const content = readFileSync(from)
    bytes += content.length
    hash.update(`${name}\0${content.length}\0`).update(content)
  }
  return { name: `${version}-${hash.digest('hex').slice(0, 12)}`, bytes, files }
}

function filesOf(home: string, part: string): (readonly [string, string])[] {
  const path = join(home, part)
  const stats = statSync(path, { throwIfNoEntry: false })
  if (stats === undefined) return []
  if (!stats.isDirectory()) return [[part, path]]
  return readdirSync(path)
    .sort()
    .flatMap((name) => filesOf(home, posix.join(part, name)))
}

/** @throws ResolveError DENIED where it does not fit the disk */
export function checkRoom(root: Root, { bytes }: Program): void {
  let folder = root.outside(HOME)
  while (!existsSync(folder)) folder = dirname(folder)
  const { bavail, bsize } = statfsSync(folder)
  if (bavail * bsize >= bytes + SPARE_BYTES) return
  const mebibytes = (count: number): number => Math.ceil(count / 2 ** 20)
  const needed = mebibytes(bytes + SPARE_BYTES)
  const message = `${HOME} needs ${needed} MiB, and ${mebibytes(bavail * bsize)} MiB are free`
  throw new ResolveError('DENIED', message)
}

/** The version that a .deb or .rpm has installed; undefined: none has. */
export function packagedVersion(root: Root): string | undefined {
  if (!root.exists(`${PACKAGE_UNITS}/${UNITS[0]}`)) return undefined
  const text = root.text(`${PACKAGE}/package.json`)
  return text === undefined ? undefined : JSON.parse(text).version
}

/** The link that enables a unit. */
export function wantOf(name: UnitName): string {
  const target = name.endsWith('.socket') ? 'sockets' : 'multi-user'
  return `${UNIT_FOLDER}/${target}.target.wants/${name}`
}

/** The path of a package's unit. */
export function packagedUnit(name: UnitName): string {
  return `${PACKAGE_UNITS}/${name}`
}

/**
 * A unit as it is installed.
 *
 * @param config the file of the service's configuration
 * @param socket path of its CRI socket
 */
export function unitText(name: UnitName, config: string, socket: string): string {
  const text = readFileSync(join(ownHome(), 'deploy', name), 'utf8')
  const body = text.replace(/^(?:#.*\n)+\n/, '')
  const head = `${MARK}. Changes belong into a drop-in: systemctl edit ${name}\n\n`
  return (
    head +
    body
      .replace(`${HOME}/bin/`, `${CURRENT}/bin/`)
      .replace('--config /etc/image-resolver.yaml', `--config ${config}`)
      .replace(/^ListenStream=.*$/m, `ListenStream=${socket.replace(/^\/var\/run\//, '/run/')}`)
  )
}

/** The configuration of a node that has none. @param cri the runtime's socket, where it has to be told */
export function newConfig(cri: string | undefined): string {
  const file = join(ownHome(), 'deploy/image-resolver.yaml')
  // A package has it as /etc/image-resolver.yaml alone.
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '# cri: as it is found\n'
  return cri === undefined ? text : text.replace(/^# cri: .*$/m, `cri: ${cri}`)
}
