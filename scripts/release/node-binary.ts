import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { runProgram } from '../../test/support/program.ts'

/** Of processors, as Node calls them. */
export const ARCHITECTURES = ['x64', 'arm64'] as const
export type Architecture = (typeof ARCHITECTURES)[number]

/** The Node that packages carry. npm's packages `node-linux-*` have the binaries of nodejs.org, and its licence. */
export const NODE = {
  version: '24.21.0',
  integrity: {
    x64: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    arm64:
      'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
  },
} as const

/** Where what is downloaded once is kept. */
export const CACHE = join(
  process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
  'image-resolver-runtimes',
)

/**
 * @returns the folder with `bin/node` and `LICENSE`, downloaded once
 * @throws Error where npm's registry has it not, or has other bytes
 */
export async function nodeFolder(architecture: Architecture): Promise<string> {
  const name = `node-linux-${architecture}`
  const folder = join(CACHE, `${name}-${NODE.version}`)
  if (existsSync(folder)) return folder
  const unfinished = `${folder}.${process.pid}`
  mkdirSync(unfinished, { recursive: true })
  try {
    const pack = ['pack', `${name}@${NODE.version}`, '--silent', '--pack-destination', unfinished]
    await runProgram('npm', pack)
    const tarball = join(unfinished, `${name}-${NODE.version}.tgz`)
    const digest = createHash('sha512').update(readFileSync(tarball)).digest('base64')
    if (`sha512-${digest}` !== NODE.integrity[architecture]) {
      throw new Error(`${name}@${NODE.version} has other bytes than expected`)
    }
    const members = ['package/bin/node', 'package/LICENSE']
    await runProgram('tar', ['-xzf', tarball, '-C', unfinished, '--strip-components=1', ...members])
    rmSync(tarball)
    renameSync(unfinished, folder)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return folder
}
