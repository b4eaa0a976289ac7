/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** Where a program finds itself, its user's files and the network; in lower case too (http_proxy). */
const NAMES: ReadonlySet<string> = new Set([
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'LANG',
  'TZ',
  'TMPDIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'ALL_PROXY',
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'DOCKER_CONFIG',
  'REGISTRY_AUTH_FILE',
  'DBUS_SESSION_BUS_ADDRESS',
])

/** What the helpers of clouds and password stores are set up with. */
const PREFIXES: readonly string[] = [
  'LC_',
  'XDG_',
  'AWS_',
  'ECR_',
  'AZURE_',
  'GOOGLE_',
  'CLOUDSDK_',
  'GCE_',
  'PASSWORD_STORE_',
  'GNUPG',
]

/** The part of our environment that a credential helper or provider is given. */
export function helperEnvironment(environment: Environment): Record<string, string> {
  const given: Record<string, string> = { PATH: DEFAULT_PATH }
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue
    const known = NAMES.has(name.toUpperCase()) || PREFIXES.some((each) => name.startsWith(each))
    if (known) given[name] = value
  }
  return given
}
