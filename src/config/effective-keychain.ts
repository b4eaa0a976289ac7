import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import type { KeychainConfig } from './config.ts'
import { parseDuration } from './duration.ts'
import { HELPER, readDuration } from './duration-range.ts'
import type { Findings } from './findings.ts'
import { parseAbsolutePath } from './socket.ts'
import type { Written } from './written.ts'

/** What holds of `keychain:`. */
export function effectiveKeychain(
  written: NonNullable<Written['keychain']>,
  findings: Findings,
): KeychainConfig {
  const place = 'keychain.credentialProviders'
  const providers = written.credentialProviders
  const config = findings.parse(`${place}.config`, providers?.config, parseAbsolutePath)
  const binDir = findings.parse(`${place}.binDir`, providers?.binDir, parseAbsolutePath)
  const { helperTimeout } = CONFIG_DEFAULTS
  const limit = written.helperTimeout ?? helperTimeout
  const limitMs = readDuration('keychain.helperTimeout', limit, HELPER, findings)
  return {
    dockerConfigs: findings.parseList(
      'keychain.dockerConfigs',
      written.dockerConfigs,
      parseAbsolutePath,
    ),
    pullSecrets: findings.parseList('keychain.pullSecrets', written.pullSecrets, parseAbsolutePath),
    credentialProviders:
      config === undefined || binDir === undefined ? undefined : { config, binDir },
    helperTimeoutMs: limitMs === 0 ? parseDuration(helperTimeout) : limitMs,
  }
}
