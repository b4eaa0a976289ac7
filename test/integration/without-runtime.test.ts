import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { MAIN, startDaemon } from '../support/daemon.ts'
import { startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/stack.ts'

test('without a runtime HTTP is served, and that is said once', async (t) => {
  const daemon = await startDaemon(t, { config: {} })

  await daemon.program().line(/there is no CRI runtime on this machine/)
  const live = await fetch(new URL('/livez', daemon.httpUrl()))
  const ready = await fetch(new URL('/readyz', daemon.httpUrl()))

  assert.equal(live.status, 200)
  assert.equal(ready.status, 503, 'the file asks for a CRI socket')
  assert.match(await ready.text(), /there is no CRI runtime on this machine/)
  const output = daemon.program().output()
  const told = output.match(/listener not open/g) ?? []
  assert.equal(told.length, 1, output)
  assert.equal(await daemon.stop(), 0)
})

test('a runtime that is configured and not there yet is waited for', async (t) => {
  const folder = temporaryFolder(t)
  const daemon = await startDaemon(t, { config: { cri: join(folder, 'later.sock') } })

  await daemon.program().line(/later\.sock does not answer yet/)
  const ready = await fetch(new URL('/readyz', daemon.httpUrl()))

  assert.equal(ready.status, 503)
  assert.match(await ready.text(), /later\.sock does not answer yet/)
  assert.ok(!existsSync(daemon.socketPath))
})

test('while the runtime is not there, images says what is down: the runtime, not the service', async (t) => {
  const folder = temporaryFolder(t)
  const token = 'a-token-of-this-test'
  const daemon = await startDaemon(t, {
    config: { cri: join(folder, 'later.sock'), http: { listen: '127.0.0.1:0', token } },
  })
  await daemon.program().line(/later\.sock does not answer yet/)
  const headers = { authorization: `Bearer ${token}` }

  const response = await fetch(new URL('/images', daemon.httpUrl()), { headers })

  assert.equal(response.status, 502)
  const { errors } = (await response.json()) as { errors: [{ message: string }] }
  assert.match(
    errors[0].message,
    /does not serve .*shim\.sock: the runtime at .*later\.sock does not/,
  )
})

test('the images command asks the service what is down', async (t) => {
  const folder = temporaryFolder(t)
  const listen = `unix://${join(folder, 'http.sock')}`
  const daemon = await startDaemon(t, {
    config: { cri: join(folder, 'later.sock'), http: { listen } },
  })
  await daemon.program().line(/later\.sock does not answer yet/)
  const images = async (): Promise<string> => {
    const program = startProgram(process.execPath, [...MAIN, 'images', '-f', daemon.configFile])
    await program.ended()
    assert.equal(program.exitCode(), 6, program.output())
    return program.output()
  }

  const running = await images()
  await daemon.stop()
  const stopped = await images()

  assert.match(running, /the service runs, but does not serve .*later\.sock does not answer/)
  assert.match(stopped, /there is no socket at .*shim\.sock; is the service running/)
})

test('with force our socket is open before the runtime answers', async (t) => {
  const folder = temporaryFolder(t)
  const daemon = await startDaemon(t, {
    config: { cri: join(folder, 'later.sock'), force: true },
  })

  await daemon.program().line(/CRI is served/)

  assert.ok(existsSync(daemon.socketPath))
})

test('a socket that cannot be opened leaves HTTP served, and readyz says why', async (t) => {
  const folder = temporaryFolder(t)
  const taken = join(folder, 'taken')
  writeFileSync(taken, 'not a socket')
  const daemon = await startDaemon(t, {
    config: { shim: taken, cri: join(folder, 'later.sock'), force: true },
  })

  await daemon.program().line(/listener not open/)
  const ready = await fetch(new URL('/readyz', daemon.httpUrl()))

  assert.equal(ready.status, 503)
  assert.match(await ready.text(), /is not a socket/)
})

test('a socket that another instance gives up is taken over', async (t) => {
  const folder = temporaryFolder(t)
  const config = { cri: join(folder, 'later.sock'), shim: join(folder, 'shim.sock'), force: true }
  const first = await startDaemon(t, { config })
  await first.program().line(/CRI is served/)
  const second = await startDaemon(t, { config })

  await second.program().line(/another instance serves/)
  await first.stop()
  await second.program().line(/CRI is served/)

  const told =
    second
      .program()
      .output()
      .match(/another instance serves/g) ?? []
  assert.equal(told.length, 1)
})

test('an HTTP address that is taken is waited for, and CRI served', async (t) => {
  const folder = temporaryFolder(t)
  const first = await startDaemon(t, { config: {} })
  const file = join(folder, 'second.yaml')
  const { host } = new URL(first.httpUrl())
  const lines = [
    `http: {listen: '${host}'}`,
    `shim: ${join(folder, 'shim.sock')}`,
    `cri: ${join(folder, 'later.sock')}`,
    'force: true',
  ]
  writeFileSync(file, lines.join('\n'))
  const second = startProgram(process.execPath, [...MAIN, '--config', file])
  t.after(() => second.stop())

  await second.line(/another process listens there/)
  await second.line(/CRI is served/)
  await first.stop()
  await second.line(/HTTP is served/)

  assert.ok(second.running())
})

test('SIGHUP reads the configuration again at once', async (t) => {
  const daemon = await startDaemon(t, { config: { reloadInterval: '0' } })

  daemon.configure({ reloadInterval: '0', onResolveError: 'reject' })
  process.kill(daemon.program().pid, 'SIGHUP')
  await daemon.program().line(/configuration reloaded/)

  assert.ok(daemon.program().running())
})

test('the log names the file at the start, and what of a changed one waits for a restart', async (t) => {
  const daemon = await startDaemon(t, { config: { reloadInterval: '0' } })
  await daemon
    .program()
    .line(/"version":"[^"]+","file":"[^"]+image-resolver.yaml","msg":"starting"/)

  daemon.configure({ reloadInterval: '0', debug: true, onResolveError: 'reject' })
  process.kill(daemon.program().pid, 'SIGHUP')
  const [line] = await daemon.program().line(/.*these fields wait for a restart.*/)

  assert.deepEqual(JSON.parse(line).fields, ['debug'])
})

test('a missing file that the configuration names is reported at the start', async (t) => {
  const daemon = await startDaemon(t, {
    config: { http: { listen: '127.0.0.1:0', tokenFile: '/nowhere/token' } },
  })

  await daemon.program().line(/http\.tokenFile: \/nowhere\/token is not there/)

  assert.ok(daemon.program().running())
})

test('a bad configuration ends the start with every mistake and its line, and exit code 2', async (t) => {
  const folder = temporaryFolder(t)
  const file = join(folder, 'bad.yaml')
  writeFileSync(file, 'shim: /run/x.sock\nadress: hub:5000\ntimeout: soon\n')
  const program = startProgram(process.execPath, [...MAIN, '-f', file])
  t.after(() => program.stop())

  await program.ended()

  assert.equal(program.exitCode(), 2)
  assert.match(program.output(), /bad\.yaml:2: adress: .*did you mean/)
})
