import { closeSync, openSync, readSync } from 'node:fs'
import { posix } from 'node:path'
import type { Root } from './root.ts'
import type { ServiceUnit } from './unit-file.ts'

/** They start the program behind them, with its arguments as they are. */
const LAUNCHERS = /^(?:chrt|env|ionice|nice|numactl|prlimit|setpriv|stdbuf|taskset)$/
/** What stands between a launcher and its program. */
const OPTION = /^(?:-.*|\w+=.*|[\d,-]+|0x[\da-f]+)$/i
const KUBELET = /^(?:kubelet|hyperkube)(?:[-_.]?v?\d.*)?$/

/** @returns the program that a command starts instead of kubelet; undefined: it starts kubelet itself */
export function wrapperIn(root: Root, words: readonly string[]): string | undefined {
  const [start = '', ...more] = words
  const first = start.replace(/^[-@:+!|]+/, '')
  const isLauncher = LAUNCHERS.test(posix.basename(first))
  const program = isLauncher ? (more.find((name) => !OPTION.test(name)) ?? first) : first
  return KUBELET.test(posix.basename(program)) && !isScript(root, program) ? undefined : program
}

/** Where a word `--` ends kubelet's own flags; -1: nowhere. One in front of kubelet is of its launcher. */
export function endOfFlags(words: readonly string[]): number {
  const isKubelet = (word: string): boolean =>
    KUBELET.test(posix.basename(word.replace(/^[-@:+!|]+/, '')))
  return words.indexOf('--', words.findIndex(isKubelet) + 1)
}

function isScript(root: Root, program: string): boolean {
  try {
    const file = openSync(root.outside(program), 'r')
    try {
      const bytes = Buffer.alloc(2)
      readSync(file, bytes)
      return bytes.toString() === '#!'
    } finally {
      closeSync(file)
    }
  } catch {
    return false
  }
}

/** Where k3s and rke2 have their configuration: as they are started, else as their environment says. */
export function rancherConfig(
  distribution: 'k3s' | 'rke2',
  { environment, words }: Pick<ServiceUnit, 'environment' | 'words'>,
): string {
  for (const [index, { text }] of words.entries()) {
    const [flag, path] = /^(?:--config|-c)(?:=(.*))?$/s.exec(text) ?? []
    const named = path ?? (flag && words[index + 1]?.text)
    if (named) return named
  }
  const named = environment.get(`${distribution.toUpperCase()}_CONFIG_FILE`)?.value.text
  return named || `/etc/rancher/${distribution}/config.yaml`
}
