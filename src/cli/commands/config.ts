import { ConfigError, describeProblem } from '../../config/diagnostics.ts'
import { findConfigFile } from '../../config/files.ts'
import { fileWarnings, type LoadedConfig, type LoadOptions, loadConfig } from '../../config/load.ts'
import { printConfig } from '../../config/print.ts'

interface ConfigCheckOptions {
  /** As given on the command line; absent: where the daemon would look. */
  readonly file: string | undefined
  readonly portoshim?: string | undefined
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
  readonly find?: typeof findConfigFile
  readonly load?: (options: LoadOptions) => Promise<LoadedConfig>
}

/**
 * `config check`: the effective configuration with its secrets hidden goes to `stdout`, warnings
 * and notes to `stderr`, also about files that it names and the runtime's own; or else every mistake, one a line, as
 * `FILE:LINE: path: message`.
 *
 * @returns the exit code: 0 when the configuration is usable, 2 when it is not
 */
export async function configCheckCommand(options: ConfigCheckOptions): Promise<0 | 2> {
  const { file: explicit, portoshim, stdout, stderr } = options
  const { find = findConfigFile, load = loadConfig } = options
  try {
    const file = await find(explicit === undefined ? {} : { explicit })
    const { config, notes, warnings } = await load({ file, portoshim })
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
