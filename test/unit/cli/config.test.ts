import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { configCheckCommand } from '../../../src/cli/commands/config.ts'

async function check(file: string | undefined, portoshim?: string) {
  const out: string[] = []
  const err: string[] = []
  const code = await configCheckCommand(
    [],
    { ...(file !== undefined && { config: file }), ...(portoshim !== undefined && { portoshim }) },
    { stdout: { write: (text) => out.push(text) }, stderr: { write: (text) => err.push(text) } },
    async (explicit) => explicit,
  )
  return { code, out: out.join(''), err: err.join('') }
}

async function fileOf(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'config-check-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const file = join(folder, 'x.yaml')
  await writeFile(file, text, { mode: 0o600 })
  return file
}

test('a usable file is printed with its secrets hidden, its warnings beside, and the code is 0', async (t) => {
  const file = await fileOf(t, 'address: hub.corp\nauth: admin:passw0rd\nofflinePriority: 20000\n')

  const { code, out, err } = await check(file)

  assert.equal(code, 0)
  assert.match(out, new RegExp(`^# ${file}\nshim: /var/run/image-cri-shim.sock\n`))
  assert.match(
    out,
    /\naddress: https:\/\/hub.corp\nauth: '\*\*\*:\*\*\*'\nofflinePriority: 10000\n/,
  )
  assert.doesNotMatch(out + err, /passw0rd/)
  assert.equal(
    err,
    [
      'warning: offlinePriority (line 3): 20000 is outside 1 to 10000; 10000 is used',
      'note: address (line 1): asked over https, since it has no scheme; if it is plain http, write http://hub.corp',
      'note: hub.corp is asked for the images of every domain: an entry of `registries` could say whose images it has, by `upstreams`',
      '',
    ].join('\n'),
  )
})

test('without a file the defaults are printed and the code is 0', async () => {
  const { code, out, err } = await check(undefined)

  assert.equal(code, 0)
  assert.match(out, /^# no configuration file: the defaults\nshim: /)
  assert.equal(err, '')
})

test('every mistake is a line with file, line and field, nothing is printed, and the code is 2', async (t) => {
  const file = await fileOf(t, 'adress: x\nregistries:\n- address: a.b\n  auth: passw0rd\n')

  const { code, out, err } = await check(file)

  assert.equal(code, 2)
  assert.equal(out, '')
  assert.deepEqual(err.split('\n'), [
    `${file}:1: adress: unknown field; did you mean address?`,
    `${file}:4: registries[0].auth: \`auth\` is not user:password: write both, with a colon`,
    '',
  ])
})

test('a missing file is named, and the code is 2', async () => {
  const { code, out, err } = await check('/nowhere/x.yaml')

  assert.equal(code, 2)
  assert.equal(out, '')
  assert.equal(err, '/nowhere/x.yaml: there is no such file\n')
})

test('what is no mistake of the file is not passed off as one', async () => {
  const silent = { write: () => assert.fail('nothing is to be printed') }
  const broken = configCheckCommand([], {}, { stdout: silent, stderr: silent }, () =>
    Promise.reject(new TypeError('a bug')),
  )

  await assert.rejects(broken, /a bug/)
})

test('files that the configuration names and that are not there are warnings, and the code is 0', async (t) => {
  const file = await fileOf(
    t,
    'registries: [{address: https://a.b, ca: /nowhere/ca.pem, upstreams: [b.c]}]\n',
  )

  const { code, err } = await check(file)

  assert.equal(code, 0)
  assert.equal(err, 'warning: ca of a.b: /nowhere/ca.pem is not there, or not for us to see\n')
})

test('a portoshim.yaml of the command line is checked along with the file', async (t) => {
  const file = await fileOf(t, 'debug: true\n')
  const portoshim = await fileOf(t, 'Images:\n  Registries:\n  - {Host: quay.io, AuthToken: t0k}\n')
  const wrong = await fileOf(t, 'Images:\n  Registries: 1\n')

  const good = await check(file, portoshim)
  const bad = await check(file, wrong)

  assert.match(good.out, new RegExp(`^portoshim: ${portoshim}$`, 'm'))
  assert.match(good.out, /^# of portoshim: quay\.io/m)
  assert.doesNotMatch(good.out, /t0k/)
  assert.equal(bad.code, 2)
  assert.match(bad.err, new RegExp(`^${wrong}:2: Images.Registries: expected a list`))
})
