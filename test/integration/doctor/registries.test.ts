import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { dump } from 'js-yaml'
import { examine } from '../../../src/doctor/doctor.ts'
import { machineAt } from '../../../src/doctor/machine.ts'
import { pauseImage } from '../../../src/doctor/pause-image.ts'
import { readSubject } from '../../../src/doctor/subject.ts'
import { createCertificate } from '../../support/certificate.ts'
import { FakeRegistry } from '../../support/fake-registry.ts'
import { buildImage } from '../../support/images.ts'
import { listen } from '../../support/listen.ts'
import { GOOD_NODES, plantNode } from '../../support/planted-node.ts'
import { startScriptedRegistry } from '../../support/scripted-registry.ts'
import { temporaryFolder } from '../../support/stack.ts'

/** They look at the service that runs on the machine, which another test may have started. */
const OF_THE_MACHINE = ['certificate-files', 'descriptors', 'memory-limit']

/** What is found of registries, by the machine that the tests run on. */
async function findingsOf(
  t: TestContext,
  registries: readonly object[],
  { now, ...more }: { readonly now?: () => number; readonly http?: object } = {},
) {
  const file = join(temporaryFolder(t), 'image-resolver.yaml')
  writeFileSync(file, dump({ registries, http: { listen: '127.0.0.1:1' }, ...more }), {
    mode: 0o600,
  })
  const options = { file, root: '/', offline: false, environment: {} }
  const { findings, skipped } = await examine({ ...options, ...(now !== undefined && { now }) })
  assert.deepEqual(skipped, [])
  const ours = ['registries', 'image-resolver']
  return findings.filter(
    ({ area, check }) => ours.includes(area) && !OF_THE_MACHINE.includes(check),
  )
}

const checksOf = (findings: Awaited<ReturnType<typeof findingsOf>>) =>
  findings.map(({ check, severity }) => [check, severity])

test('registries that answer are no finding', async (t) => {
  const certificate = createCertificate()
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'ca.pem'), certificate.cert)
  const [plain, tls] = [await FakeRegistry.start(t), await FakeRegistry.start(t, { certificate })]

  const found = await findingsOf(t, [
    { address: plain.url },
    { address: tls.url, ca: join(folder, 'ca.pem') },
  ])

  assert.deepEqual(found, [])
})

test('a registry that does not answer is found, with the line of its entry', async (t) => {
  const registry = await listen(t, createServer())
  await registry.stop()

  const [found, ...more] = await findingsOf(t, [{ address: registry.url }])

  assert.deepEqual(
    [found?.check, found?.severity, found?.line],
    ['registry-unreachable', 'error', 2],
  )
  assert.match(found?.problem ?? '', new RegExp(`^${registry.host}: .*ECONNREFUSED`))
  assert.deepEqual(more, [])
})

test('a registry whose name leads nowhere is found once', async (t) => {
  const found = await findingsOf(t, [{ address: 'https://harbor.invalid', upstreams: ['quay.io'] }])

  assert.deepEqual(checksOf(found), [['registry-name', 'error']])
  assert.match(found[0]?.problem ?? '', /no address is known of the name of harbor.invalid/)
})

test('credentials that are refused are found, and not shown', async (t) => {
  const auth = { kind: 'basic', username: 'puller', password: 'right' } as const
  const registry = await FakeRegistry.start(t, { auth })

  const wrong = await findingsOf(t, [{ address: registry.url, auth: 'puller:wr0ng' }])
  const none = await findingsOf(t, [{ address: registry.url }])
  const right = await findingsOf(t, [{ address: registry.url, auth: 'puller:right' }])

  assert.deepEqual(checksOf(wrong), [['registry-credentials', 'error']])
  assert.match(wrong[0]?.problem ?? '', /refuses the credentials that there are/)
  assert.match(none[0]?.problem ?? '', /wants credentials, and there are none/)
  assert.deepEqual(right, [])
  assert.doesNotMatch(JSON.stringify([wrong, none]), /wr0ng/)
})

test('a certificate of an authority that is not trusted is found, and one for another name', async (t) => {
  const certificate = createCertificate()
  const elsewhere = createCertificate([10, 0, 0, 1])
  const ca = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(ca, elsewhere.cert)
  const untrusted = await FakeRegistry.start(t, { certificate })
  const misnamed = await FakeRegistry.start(t, { certificate: elsewhere })

  const first = await findingsOf(t, [{ address: untrusted.url }])
  const second = await findingsOf(t, [{ address: misnamed.url, ca }])
  const told = await findingsOf(t, [{ address: untrusted.url, insecureSkipVerify: true }])

  assert.deepEqual(checksOf(first), [['registry-certificate', 'error']])
  assert.match(first[0]?.problem ?? '', /authority is not trusted/)
  assert.deepEqual(checksOf(second), [['registry-certificate', 'error']])
  assert.match(second[0]?.problem ?? '', /for another name/)
  assert.deepEqual(told, [])
})

test('a certificate near its end is a warning, and one that has ended an error', async (t) => {
  const certificate = createCertificate()
  const ca = join(temporaryFolder(t), 'ca.pem')
  writeFileSync(ca, certificate.cert)
  const registry = await FakeRegistry.start(t, { certificate })
  const year = new Date().getUTCFullYear()
  const at = async (time: string) =>
    (await findingsOf(t, [{ address: registry.url, ca }], { now: () => Date.parse(time) }))
      .filter(({ check }) => check === 'registry-certificate')
      .map(({ problem, severity }) => `${severity}: ${problem}`)
      .join()

  assert.match(await at(`${year + 2}-01-01`), /^error: .* its certificate ended on /)
  assert.match(await at(`${year - 2}-01-01`), /^error: .* is not valid before /)
  assert.equal(await at(`${year}-06-01`), '')
})

test('a clock that is off is found, when most registries say so', async (t) => {
  const script = (date: string) => [{ headers: { date }, status: 200, always: true }]
  const off = new Date(Date.now() + 3_600_000).toUTCString()
  const right = await FakeRegistry.start(t)
  const ahead = await startScriptedRegistry(t, script(off))
  const other = await startScriptedRegistry(t, script(off))

  const most = await findingsOf(
    t,
    [ahead, other, right].map(({ url }) => ({ address: url })),
  )
  const one = await findingsOf(
    t,
    [ahead, right].map(({ url }) => ({ address: url })),
  )

  assert.deepEqual(checksOf(most), [['clock', 'error']])
  assert.match(
    most[0]?.problem ?? '',
    /^the clock of this node is (?:3[56]\d\d) s behind that of 127/,
  )
  assert.deepEqual(one, [])
})

test('a service of another version than this program is found', async (t) => {
  const bodies: Readonly<Record<string, object>> = {
    '/livez': { status: 'live' },
    '/version': { version: '0.0.1', commit: null, node: '24.0.0' },
  }
  const server = createServer(({ url = '' }, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(bodies[url]))
  })
  const service = await listen(t, server)

  const found = await findingsOf(t, [], { http: { listen: service.host } })

  assert.deepEqual(checksOf(found), [['version-skew', 'warning']])
  assert.match(found[0]?.problem ?? '', /the service that runs is 0\.0\.1, this program/)
})

test('a pause image whose registry cannot be reached is found, with the mirror that has it', async (t) => {
  const mirror = await FakeRegistry.start(t)
  mirror.put('pause', '3.8', buildImage())
  const node = GOOD_NODES['kubeadm with containerd 1.7']
  const toml = '/etc/containerd/config.toml'
  const root = await plantNode(t, node, {
    files: {
      '/etc/image-resolver.yaml': `cri: /run/containerd/containerd.sock\nregistries:\n- address: ${mirror.url}\n  upstreams: [registry.invalid]\n`,
      [toml]: node.files[toml].replace('registry.k8s.io', 'registry.invalid'),
    },
  })
  const options = { machine: machineAt(root), file: undefined, environment: {}, now: Date.now }
  const subject = await readSubject({ ...options, offline: false })

  const [found, ...more] = await pauseImage({
    ...subject,
    configFile: join(root, '/etc/image-resolver.yaml'),
  })

  assert.deepEqual(more, [])
  assert.deepEqual([found?.severity, found?.file, found?.line], ['error', toml, 11])
  assert.match(found?.problem ?? '', /registry.invalid does not have it, or cannot be reached/)
  assert.equal(
    found?.mend,
    `name it as ${mirror.host}/pause:3.8, by sandbox_image, and restart the runtime`,
  )
})
