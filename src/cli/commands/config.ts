import { ConfigError, describeProblem } from '../../config/diagnostics.ts'
import { findConfigFile } from '../../config/files.ts'
import { fileWarnings, loadConfig } from '../../config/load.ts'
import { printConfig } from '../../config/print.ts'
import type { CliContext } from '../context.ts'
import { fileOf, type Values } from '../options.ts'

/**
 * `config check`: the effective configuration with its secrets hidden goes to `stdout`, warnings
 * and notes to `stderr`, also about files that it names and the runtime's own; or else every mistake, one a line, as
 * `FILE:LINE: path: message`.
 *
 * @returns the exit code: 0 when the configuration is usable, 2 when it is not
 */
export async function configCheckCommand(
  _words: readonly string[],
  values: Values,
  { stdout, stderr }: Pick<CliContext, 'stdout' | 'stderr'>,
  find = findConfigFile,
): Promise<0 | 2> {
  try {
    const file = await find(fileOf(values))
    const { config, notes, warnings } = await loadConfig({ file, portoshim: values.portoshim })
    for (const warning of [...warnings, ...(await fileWarnings(config))])
      stderr.write(`warning: ${warning}\n`)
    for (const note of notes) stderr.write(`note: ${note}\n`)
    stdout.write(`# ${file === undefined ? 'no configuration file: the defaults' : file}\n`)
    stdout.write(printConfig(config))
    return 0
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown
    for (const problem of thrown.problems) {
      stderr.write(`${describeProblem(thrown.file, problem)}\n`)
    }
    return 2
  }
}
