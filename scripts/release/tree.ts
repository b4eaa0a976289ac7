import {
  chmodSync,
  cpSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { bashCompletion, fishCompletion, manualPage, zshCompletion } from './completion.ts'

/** What every package is made of. */
export interface Product {
  /** Of the built repository. */
  readonly root: string
  readonly version: string
  /** The time that all files get: seconds since 1970. */
  readonly epoch: number
  /** With `bin/node` and `LICENSE`. */
  readonly node: string
}

/** Below /usr/share; Debian has a folder of its own for packages. */
export const ZSH = { deb: 'zsh/vendor-completions', rpm: 'zsh/site-functions' } as const

/** Everything, in one folder that can be anywhere. */
export function writeFolder(product: Product, folder: string): void {
  writeProgram(product, folder)
  writeTexts(product, folder)
  writeShare(product, join(folder, 'share'), ZSH.rpm)
  // Links lead to files beside them, not to those of this machine.
  const links = { recursive: true, verbatimSymlinks: true }
  cpSync(join(product.root, 'deploy'), join(folder, 'deploy'), links)
  evenModes(folder)
}

/** Puts the program, which runs from any folder, into one: launcher, Node, bundle, proto files, OpenAPI document. */
export function writeProgram({ root, version, node }: Product, folder: string): void {
  for (const part of ['bin', 'dist/app', 'dist/page', 'openapi', 'protos']) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  cpSync(join(node, 'bin/node'), join(folder, 'node'))
  // The program reads its version by its own name.
  const manifest = {
    name: 'image-resolver',
    version,
    license: 'Apache-2.0',
    type: 'module',
    exports: { './package.json': './package.json' },
  }
  write(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** Texts that go with it. */
export function writeTexts({ root, node }: Product, folder: string): void {
  for (const name of ['README.md', 'CHANGELOG.md', 'LICENSE', 'docs', 'openapi']) {
    cpSync(join(root, name), join(folder, name), { recursive: true })
  }
  cpSync(join(root, 'dist/LICENSES'), join(folder, 'LICENSES.bundled'))
  cpSync(join(node, 'LICENSE'), join(folder, 'LICENSE.node'))
}

/** The manual page, and what shells complete, below a folder `share`. @param zsh where zsh looks for it there */
export function writeShare({ version }: Product, folder: string, zsh: string): void {
  const files = {
    'bash-completion/completions/image-resolver': bashCompletion(),
    [`${zsh}/_image-resolver`]: zshCompletion(),
    'fish/vendor_completions.d/image-resolver.fish': fishCompletion(),
    'man/man1/image-resolver.1.gz': gzipSync(manualPage(version), { level: 9 }),
  }
  for (const [name, text] of Object.entries(files)) write(join(folder, name), text)
}

/** A unit as packages install it. */
export function unit(root: string, name: string): string {
  const [, , body = ''] =
    /^((?:#.*\n)+)\n([\s\S]*)/.exec(readFileSync(join(root, 'deploy', name), 'utf8')) ?? []
  return body.replace('/opt/image-resolver/bin/image-resolver', '/usr/bin/image-resolver')
}

export function write(file: string, text: string | Buffer, mode = 0o644): void {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, mode)
}

/** The modes of files do not depend on the umask of the build. */
export function evenModes(folder: string): void {
  chmodSync(folder, 0o755)
  for (const name of readdirSync(folder)) {
    const path = join(folder, name)
    const found = lstatSync(path)
    if (found.isDirectory()) evenModes(path)
    else if (found.isFile()) chmodSync(path, (found.mode & 0o100) === 0 ? 0o644 : 0o755)
  }
}
