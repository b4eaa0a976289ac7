import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { namedFileProblems } from '../../../src/config/files.ts'
import { loadText } from '../../support/config.ts'

async function namedFileWarnings(
  ...asked: Parameters<typeof namedFileProblems>
): Promise<readonly string[]> {
  return (await namedFileProblems(...asked)).map(({ message }) => message)
}

const NAMES = `
registries:
  - {address: a.b, username: u, passwordFile: /password, ca: /ca, cert: /cert, key: /key}
  - {address: c.d, tokenFile: /token}
keychain:
  dockerConfigs: [/docker]
  pullSecrets: [/pull]
  credentialProviders: {config: /providers, binDir: /bin}
configMap: {kubeconfig: /kubeconfig}
http: {tokenFile: /http-token, tls: {cert: /http-cert, key: /http-key}}
`

test('every missing file that a configuration names is reported', async () => {
  const warnings = await namedFileWarnings(loadText(NAMES).config, async () => undefined)

  assert.deepEqual(
    warnings.map((warning) => warning.replace(' is not there, or not for us to see', '')),
    [
      'passwordFile of a.b: /password',
      'ca of a.b: /ca',
      'cert of a.b: /cert',
      'key of a.b: /key',
      'tokenFile of c.d: /token',
      'configMap.kubeconfig: /kubeconfig',
      'keychain.dockerConfigs: /docker',
      'keychain.pullSecrets: /pull',
      'keychain.credentialProviders.config: /providers',
      'keychain.credentialProviders.binDir: /bin',
      'http.tokenFile: /http-token',
      'http.tls.cert: /http-cert',
      'http.tls.key: /http-key',
    ],
  )
})

test('a secret that every user can read is reported, a certificate is not', async () => {
  const warnings = await namedFileWarnings(loadText(NAMES).config, async (path) => ({
    kind: path === '/bin' ? 'folder' : 'file',
    mode: 0o644,
  }))

  assert.deepEqual(
    warnings.map((warning) => warning.split(': ')[0]),
    [
      'passwordFile of a.b',
      'key of a.b',
      'tokenFile of c.d',
      'configMap.kubeconfig',
      'keychain.dockerConfigs',
      'keychain.pullSecrets',
      'http.tokenFile',
      'http.tls.key',
    ],
  )
  assert.match(warnings[0] ?? '', /every user of this machine can read \/password: chmod o-r/)
})

test('a secret for its owner and group alone is not reported', async () => {
  const warnings = await namedFileWarnings(loadText(NAMES).config, async (path) => ({
    kind: path === '/bin' ? 'folder' : 'file',
    mode: 0o640,
  }))

  assert.deepEqual(warnings, [])
})

for (const text of [
  'address: a.b\nauth: u:p\n',
  'registries: [{address: a.b, identityToken: t}]\n',
  'http: {token: t}\n',
  'proxy: {https: "http://u:p@a:1"}\n',
]) {
  test(`the configuration itself is reported when every user can read ${JSON.stringify(text)}`, async () => {
    const everybody = async () => ({ kind: 'file', mode: 0o604 }) as const

    const warnings = await namedFileWarnings(loadText(text).config, everybody)

    assert.equal(warnings.length, 1)
    assert.match(
      warnings[0] ?? '',
      /^the configuration: every user of this machine can read \/etc\/x/,
    )
  })
}

test('on the machine a folder is no file, and permissions are looked at', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'named-files-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'token')
  await writeFile(file, 'x')
  await chmod(file, 0o644)
  const { config } = loadText(`
registries: [{address: a.b, tokenFile: ${file}, ca: ${folder}}]
keychain: {dockerConfigs: [${join(folder, 'gone')}]}
`)

  const warnings = await namedFileWarnings(config)

  assert.deepEqual(warnings, [
    `tokenFile of a.b: every user of this machine can read ${file}: chmod o-r would keep it secret`,
    `ca of a.b: ${folder} is no file`,
    `keychain.dockerConfigs: ${join(folder, 'gone')} is not there, or not for us to see`,
  ])
})
