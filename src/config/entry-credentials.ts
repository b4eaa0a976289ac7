import { parseUserPassword } from '../registry/auth-config.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { Findings } from './findings.ts'
import { joinPath } from './path.ts'
import { parseAbsolutePath } from './socket.ts'
import { parseToken } from './token.ts'
import type { WrittenRegistry } from './written.ts'

/** The ways to give credentials; an entry has one or none. */
const WAYS = ['auth', 'password', 'passwordFile', 'identityToken', 'tokenFile'] as const

type Secrets = Pick<RegistryEntry, 'credentials' | 'credentialFiles'>

/** What an entry of `registries:` says about credentials; no message repeats any of it. */
export function entryCredentials(
  registry: WrittenRegistry,
  path: string,
  findings: Findings,
): Secrets {
  const { username, password, identityToken } = registry
  const [way, second] = WAYS.filter((name) => isGiven(registry, name))
  const needsUser = way === 'password' || way === 'passwordFile'
  if (second !== undefined) {
    const message = `credentials are given twice, as ${way} too: keep one of them`
    findings.problem(joinPath(path, second), message)
    return {}
  }
  if (way !== undefined && needsUser && username === undefined) {
    findings.problem(joinPath(path, way), 'needs username beside it')
    return {}
  }
  if (username !== undefined) {
    const place = joinPath(path, 'username')
    if (!needsUser) findings.problem(place, 'needs password or passwordFile beside it')
    if (username.includes(':')) findings.problem(place, 'holds a colon, which no user name can')
  }
  const fileOf = (name: 'passwordFile' | 'tokenFile'): string | undefined =>
    findings.parse(joinPath(path, name), registry[name], parseAbsolutePath)
  switch (way) {
    case 'auth':
      return authCredentials(registry.auth, joinPath(path, 'auth'), findings)
    case 'password':
      return {
        credentials: { kind: 'basic', username: username ?? '', password: password ?? '' },
      }
    case 'passwordFile': {
      const passwordFile = fileOf(way)
      return passwordFile === undefined || username === undefined
        ? {}
        : { credentialFiles: { username, passwordFile } }
    }
    case 'identityToken': {
      const token = findings.parse(joinPath(path, way), identityToken, parseToken)
      return token === undefined ? {} : { credentials: { kind: 'identityToken', token } }
    }
    case 'tokenFile': {
      const tokenFile = fileOf(way)
      return tokenFile === undefined ? {} : { credentialFiles: { tokenFile } }
    }
    default:
      return {}
  }
}

/** What `auth:` says, of an entry or of the top-level address. */
export function authCredentials(
  auth: string | undefined,
  path: string,
  findings: Findings,
): Pick<Secrets, 'credentials'> {
  const credentials = isEmptyAuth(auth) ? undefined : findings.parse(path, auth, parseUserPassword)
  return credentials === undefined ? {} : { credentials }
}

function isGiven(registry: WrittenRegistry, way: (typeof WAYS)[number]): boolean {
  return registry[way] !== undefined && !(way === 'auth' && isEmptyAuth(registry.auth))
}

/** What `{{ .user }}:{{ .password }}` leaves when neither is set. */
function isEmptyAuth(auth: string | undefined): boolean {
  return auth === ':'
}
