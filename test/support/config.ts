import { ConfigError, type ConfigProblem } from '../../src/config/diagnostics.ts'
import { type LoadedConfig, parseConfig } from '../../src/config/load.ts'

/** Loads a text as /etc/x.yaml, on a machine without any runtime or proxy. */
export function loadText(text: string, sockets: readonly string[] = []): LoadedConfig {
  return parseConfig(text, {
    file: '/etc/x.yaml',
    socketExists: (path) => sockets.includes(path),
    env: {},
  })
}

/** What is wrong with a text; none when it loads. */
export function problemsIn(text: string): readonly ConfigProblem[] {
  try {
    loadText(text)
    return []
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems
    throw thrown
  }
}
