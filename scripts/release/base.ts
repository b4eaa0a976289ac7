import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { runProgram } from '../../test/support/program.ts'
import { type Architecture, CACHE } from './node-binary.ts'
import { write } from './tree.ts'

interface BasePackage {
  readonly name: string
  readonly version: string
  readonly license: string
  /** Those that are taken; default: libraries. */
  readonly files?: readonly string[]
  /** Of the .deb, by Node's name of the processor. */
  readonly sha256: Readonly<Record<Architecture, string>>
}

/**
 * What Node is linked with, and chroot; Node has certificates and time zones of its own. These versions are those of
 * the suite bookworm itself, which keeps them for good, unlike its updates.
 */
export const BASE: readonly BasePackage[] = [
  {
    name: 'libc6',
    version: '2.36-9+deb12u14',
    license: 'LGPL-2.1-or-later',
    sha256: {
      x64: 'ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf',
      arm64: '01f4330719fd4f65580e16ea5a0527f372fca750e8f588d26deaf09f2d3b1cf4',
    },
  },
  {
    name: 'gcc-12-base',
    version: '12.2.0-14+deb12u1',
    license: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    sha256: {
      x64: '1896a2aacf4ad681ff5eacc24a5b0ca4d5d9c9b9c9e4b6de5197bc1e116ea619',
      arm64: '674cf6cba6d432bd200c45fe866c1652c7a53523cc2e7a613e05bc4abf7b5440',
    },
  },
  {
    name: 'libgcc-s1',
    version: '12.2.0-14+deb12u1',
    license: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    sha256: {
      x64: '3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7',
      arm64: '576926b283613db80168ddf76380a3bd877602778cf0d226caa7bfbfa71eacf3',
    },
  },
  {
    name: 'libstdc++6',
    version: '12.2.0-14+deb12u1',
    license: 'GPL-3.0-or-later WITH GCC-exception-3.1',
    sha256: {
      x64: '5cd3171216d4ab0fc911cfe9c35509bf2dd8f47761c43b7f6a4296701551a24d',
      arm64: '26e138c677a985775331373828a6c286c551ff397cb735d00e2383cb273d1cb2',
    },
  },
  {
    // With it the image installs on the node that it runs on.
    name: 'coreutils',
    version: '9.1-1',
    license: 'GPL-3.0-or-later',
    files: ['usr/sbin/chroot'],
    sha256: {
      x64: '61038f857e346e8500adf53a2a0a20859f4d3a3b51570cc876b153a2d51a3091',
      arm64: 'ec8f090a14c684879dce251254d8d9ed0876d4480f750d5807ef04e5435e1c4d',
    },
  },
]

/** Debian's and OCI's names of processors. */
export const PROCESSORS = { x64: 'amd64', arm64: 'arm64' } as const

/** Scanners read off these what is in an image. */
const OS_RELEASE = `PRETTY_NAME="image-resolver on Debian 12 libraries"
NAME="Debian GNU/Linux"
VERSION_ID="12"
ID=debian
`
/** Node of an image of its own runs as this user. */
export const USER = 65532
const FILES = {
  'etc/os-release': OS_RELEASE,
  'etc/passwd': `root:x:0:0:root:/:/sbin/nologin\nnonroot:x:${USER}:${USER}:nonroot:/:/sbin/nologin\n`,
  'etc/group': `root:x:0:\nnonroot:x:${USER}:\n`,
  'etc/nsswitch.conf': 'hosts: files dns\n',
}

/**
 * @returns the root of an image without a program, made once: the C and C++ libraries of Debian, with their licences
 * @throws Error where Debian has other packages than BASE says, or they have other bytes
 */
export async function baseFolder(architecture: Architecture): Promise<string> {
  const key = createHash('sha256')
    .update(JSON.stringify([BASE, FILES]))
    .digest('hex')
  const folder = join(CACHE, `debian-${PROCESSORS[architecture]}-${key.slice(0, 12)}`)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.${process.pid}`
  try {
    const root = join(unfinished, 'root')
    mkdirSync(root, { recursive: true })
    for (const [name, file] of await download(architecture, join(unfinished, 'apt'))) {
      const { files } = BASE.find((each) => each.name === name) ?? {}
      const members = files?.concat(`usr/share/doc/${name}/copyright`).map((each) => `./${each}`)
      const extract = 'dpkg-deb --fsys-tarfile "$0" | tar -xpC "$@"'
      await runProgram('bash', ['-o', 'pipefail', '-c', extract, file, root, ...(members ?? [])])
      const control = await runProgram('dpkg-deb', ['--field', file])
      write(join(root, 'var/lib/dpkg/status.d', name), control)
    }
    prune(root)
    for (const [name, text] of Object.entries(FILES)) write(join(root, name), text)
    for (const name of ['tmp', 'run', 'proc', 'sys', 'dev']) mkdirSync(join(root, name))
    renameSync(root, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}

/** With lists of its own: those of this machine are of its own processor, and stay as they are. */
async function download(
  architecture: Architecture,
  folder: string,
): Promise<ReadonlyMap<string, string>> {
  const processor = PROCESSORS[architecture]
  for (const name of ['lists/partial', 'archives/partial', 'debs']) {
    mkdirSync(join(folder, name), { recursive: true })
  }
  write(join(folder, 'status'), '')
  const options = [
    `APT::Architecture=${processor}`,
    `APT::Architectures::=${processor}`,
    // Root gives its folders to nobody else.
    'APT::Sandbox::User=root',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false',
    'Acquire::Languages=none',
    'Acquire::Retries=3',
    `Dir::State=${folder}`,
    `Dir::State::lists=${join(folder, 'lists')}`,
    `Dir::State::status=${join(folder, 'status')}`,
    `Dir::Cache=${folder}`,
    `Dir::Cache::archives=${join(folder, 'archives')}`,
  ].flatMap((option) => ['-o', option])
  const apt = (...args: string[]) =>
    runProgram('sh', ['-c', 'cd "$0" && exec "$@"', join(folder, 'debs'), ...args])
  await apt('apt-get', '-q', ...options, 'update')
  const wanted = BASE.map(({ name, version }) => `${name}=${version}`)
  try {
    await apt('apt-get', '-q', ...options, 'download', ...wanted)
  } catch (error) {
    const message = `no ${wanted.join(', ')} for ${processor} from the suites of this machine; BASE in scripts/release/base.ts names versions of bookworm`
    throw new Error(message, { cause: error })
  }
  const names = new Map(BASE.map(({ name, sha256 }) => [sha256[architecture], name]))
  const files = new Map<string, string>()
  for (const each of readdirSync(join(folder, 'debs')).sort()) {
    const file = join(folder, 'debs', each)
    const name = names.get(createHash('sha256').update(readFileSync(file)).digest('hex'))
    if (name === undefined) throw new Error(`${file} has other bytes than expected`)
    files.set(name, file)
  }
  if (files.size !== BASE.length) throw new Error(`of ${wanted.join(', ')} some are not there`)
  return files
}

/** Character sets other than Unicode, profilers, translations and changes: Node uses none of it. */
function prune(root: string): void {
  for (const name of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const isUnused =
      /\/(?:gconv|audit)$/.test(name) ||
      /^etc\/ld\.so\.conf\.d$/.test(name) ||
      /^usr\/share\/(?!doc(?:\/|$))[^/]+$/.test(name) ||
      /^usr\/share\/doc\/[^/]+\/(?!copyright$)[^/]+$/.test(name)
    if (isUnused) rmSync(join(root, name), { recursive: true, force: true })
  }
}
