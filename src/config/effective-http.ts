import { CONFIG_DEFAULTS } from '../../api/v1/config-defaults.ts'
import type { HttpConfig } from './config.ts'
import type { Findings } from './findings.ts'
import { isLocalListen, parseListen } from './listen.ts'
import { parseAbsolutePath } from './socket.ts'
import { parseToken } from './token.ts'
import type { Written } from './written.ts'

/** What holds of `http:`. An address that other machines can reach is refused without a token. */
export function effectiveHttp(
  written: NonNullable<Written['http']>,
  findings: Findings,
): HttpConfig {
  const listen = written.listen ?? CONFIG_DEFAULTS.listen
  const address = findings.parse('http.listen', listen, parseListen)
  const token = findings.parse('http.token', written.token, parseToken)
  const tokenFile = findings.parse('http.tokenFile', written.tokenFile, parseAbsolutePath)
  const certFile = findings.parse('http.tls.cert', written.tls?.cert, parseAbsolutePath)
  const keyFile = findings.parse('http.tls.key', written.tls?.key, parseAbsolutePath)
  const rateLimit = written.rateLimit ?? CONFIG_DEFAULTS.rateLimit
  if (written.token !== undefined && written.tokenFile !== undefined) {
    findings.problem('http.tokenFile', 'the token is given twice, as token too: keep one')
  }
  if (rateLimit < 0) findings.problem('http.rateLimit', `${rateLimit} is below 0; 0 means no limit`)
  if (address !== undefined && !isLocalListen(address)) {
    if (written.token === undefined && written.tokenFile === undefined) {
      findings.problem(
        'http.listen',
        `other machines can reach ${listen}, and nobody has to log in: set http.token or http.tokenFile, or listen on ${CONFIG_DEFAULTS.listen}`,
      )
    } else if (written.tls === undefined) {
      findings.warning('http.listen', 'the token crosses the network in the clear: set http.tls')
    }
  }
  return {
    listen,
    token,
    tokenFile,
    tls: certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile },
    rateLimit,
  }
}
