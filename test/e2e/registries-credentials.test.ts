import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createCertificate } from '../support/certificate.ts'
import {
  type DockerRegistry,
  REGISTRY_USER,
  startDockerRegistry,
} from '../support/docker-registry.ts'
import { buildImage, pushImage } from '../support/images.ts'
import { folderOfFiles } from '../support/keychain.ts'
import { resolveJson, runResolve } from '../support/resolve-command.ts'
import { signedToken } from '../support/signed-token.ts'
import { requireStack } from '../support/stack.ts'
import { startTokenServer } from '../support/token-server.ts'

const IMAGE = buildImage()
const PLATFORM = ['--platform', 'linux/amd64']
const { username, password } = REGISTRY_USER
const PAIR = `${username}:${password}`
const AUTH = Buffer.from(PAIR).toString('base64')
const SERVICE = 'registry.test'

/** Writes a file, and gives its path. */
type Write = (name: string, content: string | object) => string

/** Every way in which an operator says who we are, and what that is in a configuration. */
const WAYS: Readonly<Record<string, (registry: DockerRegistry, write: Write) => object>> = {
  auth: ({ url }) => ({ registries: [{ address: url, auth: PAIR }] }),
  'the offline registry’s auth': ({ url }) => ({ address: url, auth: PAIR }),
  'username and password': ({ url }) => ({ registries: [{ address: url, username, password }] }),
  passwordFile: ({ url }, write) => ({
    registries: [{ address: url, username, passwordFile: write('password', `${password}\n`) }],
  }),
  'keychain.dockerConfigs': ({ host, url }, write) => ({
    registries: [{ address: url }],
    keychain: { dockerConfigs: [write('config.json', { auths: { [host]: { auth: AUTH } } })] },
  }),
  'keychain.dockerConfigs, by path': ({ host, url }, write) => ({
    registries: [{ address: url }],
    keychain: {
      dockerConfigs: [
        write('auth.json', {
          auths: {
            [host]: { auth: Buffer.from('other:wrong').toString('base64') },
            [`${host}/team`]: { auth: AUTH },
          },
        }),
      ],
    },
  }),
  'keychain.pullSecrets': ({ host, url }, write) => ({
    registries: [{ address: url }],
    keychain: {
      pullSecrets: [write('.dockerconfigjson', { auths: { [host]: { username, password } } })],
    },
  }),
  'keychain.credentialProviders': ({ host, url }, write) => {
    const answer = {
      kind: 'CredentialProviderResponse',
      apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
      cacheKeyType: 'Registry',
      auth: { [host]: { username, password } },
    }
    const program = write(
      'provider',
      `#!/bin/sh\ncat > /dev/null\necho '${JSON.stringify(answer)}'\n`,
    )
    chmodSync(program, 0o755)
    const config = write('providers.json', {
      kind: 'CredentialProviderConfig',
      apiVersion: 'kubelet.config.k8s.io/v1',
      providers: [
        {
          name: 'provider',
          apiVersion: answer.apiVersion,
          matchImages: [host],
          defaultCacheDuration: '1m',
        },
      ],
    })
    const credentialProviders = { config, binDir: dirname(program) }
    return { registries: [{ address: url }], keychain: { credentialProviders } }
  },
  'hostsDir, with a header': ({ host, url }, write) => {
    const toml = `server = "${url}"\n[host."${url}".header]\nauthorization = "Basic ${AUTH}"\n`
    const file = write('hosts.toml', toml)
    return { hostsDir: file.slice(0, -`/${host}/hosts.toml`.length) }
  },
  'portoshim.yaml': ({ url }, write) => ({
    portoshim: write(
      'portoshim.yaml',
      `Images:\n  Registries:\n    - {Host: "${url}", AuthToken: "Basic ${AUTH}"}\n`,
    ),
  }),
}

async function startClosed(t: TestContext): Promise<DockerRegistry> {
  const registry = await startDockerRegistry(t, { auth: true })
  await pushImage(registry.url, 'team/app', '1', IMAGE, registry.headers)
  return registry
}

test('docker-registry with htpasswd gives its image to', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startClosed(t)
  const reference = `${registry.host}/team/app:1`

  for (const [name, configure] of Object.entries(WAYS)) {
    await t.test(name, async () => {
      const config = configure(registry, writer(t, registry.host))

      const answer = await resolveJson(t, config, reference, ...PLATFORM)

      assert.equal(answer.imageId, IMAGE.imageId, JSON.stringify(answer))
      assert.equal(answer.registry, registry.host)
    })
  }

  await t.test('nobody else', async () => {
    const config = { registries: [{ address: registry.url }] }
    const wrong = { registries: [{ address: registry.url, auth: `${username}:wrong-password` }] }

    const anonymous = await resolveJson(t, config, reference, ...PLATFORM)
    const refused = await runResolve(t, wrong, reference, ...PLATFORM, '--explain')

    assert.equal(anonymous.errors?.[0]?.code, 'UNAUTHORIZED')
    assert.equal(refused.code, 5)
    assert.match(refused.stderr, /\[UNAUTHORIZED\]/)
    assert.doesNotMatch(refused.stderr + refused.stdout, /wrong-password/)
  })
})

test('docker-registry behind a token service gives its image to', async (t) => {
  if (!requireStack(t, ['docker-registry'])) return
  const registry = await startDockerRegistry(t)
  await pushImage(registry.url, 'team/app', '1', IMAGE)
  const signer = createCertificate()
  const tokens = await startTokenServer(t, {
    answer: ({ authorization, params }) => {
      const known = authorization === `Basic ${AUTH}` || params['refresh_token'] === 'who-we-are'
      if (!known) return { status: 401 }
      const token = signedToken(signer, SERVICE, params['scope'] ?? '')
      return { status: 200, body: JSON.stringify({ token, access_token: token }) }
    },
  })
  await registry.stop()
  await registry.start({
    token: { realm: `${tokens.url}/token`, service: SERVICE, cert: signer.cert },
  })
  const reference = `${registry.host}/team/app:1`
  const ways = {
    auth: WAYS['auth'],
    passwordFile: WAYS['passwordFile'],
    'keychain.dockerConfigs': WAYS['keychain.dockerConfigs'],
    'an identity token of the entry': ({ url }: DockerRegistry) => ({
      registries: [{ address: url, identityToken: 'who-we-are' }],
    }),
    'an identity token of a tokenFile': ({ url }: DockerRegistry, write: Write) => ({
      registries: [{ address: url, tokenFile: write('token', 'who-we-are\n') }],
    }),
    'an identity token of docker login': ({ host, url }: DockerRegistry, write: Write) => ({
      registries: [{ address: url }],
      keychain: {
        dockerConfigs: [
          write('config.json', { auths: { [host]: { identitytoken: 'who-we-are' } } }),
        ],
      },
    }),
    'a token of portoshim.yaml that is one already': ({ url }: DockerRegistry, write: Write) => {
      const token = write('hub.token', signedToken(signer, SERVICE, 'repository:team/app:pull'))
      const text = `Images:\n  Registries:\n    - {Host: "${url}", AuthToken: "file:${token}"}\n`
      return { portoshim: write('portoshim.yaml', text) }
    },
  }

  for (const [name, configure] of Object.entries(ways)) {
    await t.test(name, async () => {
      assert.ok(configure)
      const config = configure(registry, writer(t, registry.host))

      const answer = await resolveJson(t, config, reference, ...PLATFORM)

      assert.equal(answer.imageId, IMAGE.imageId, JSON.stringify(answer))
    })
  }
})

/** Files for one configuration; hosts.toml goes into the folder of its host. */
function writer(t: TestContext, host: string): Write {
  const folder = folderOfFiles(t)
  return (name, content) => {
    const parent = name === 'hosts.toml' ? join(folder, host) : folder
    mkdirSync(parent, { recursive: true })
    const file = join(parent, name)
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content))
    return file
  }
}
