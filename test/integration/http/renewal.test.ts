import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { connect, createServer } from 'node:tls'
import { readTls, renewal } from '../../../src/http/tls.ts'
import { createCertificate } from '../../support/certificate.ts'
import { openApp } from '../../support/http-app.ts'
import { temporaryFolder } from '../../support/stack.ts'

type Pem = ReturnType<typeof createCertificate>

/** A server with a certificate in files, and what was logged of their renewal. */
async function startServer(t: TestContext) {
  const folder = temporaryFolder(t)
  const files = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  const first = createCertificate()
  write(files.cert, first.cert)
  write(files.key, first.key)
  const server = createServer(readTls(files), (socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const told: string[] = []
  const log = (_fields: unknown, text: string): void => void told.push(text)
  const look = renewal(files, server, { info: log, warn: log } as never)
  const { port } = server.address() as AddressInfo
  return { files, first, look, told, has: ({ cert }: Pem) => verifies(port, cert) }
}

/** As everybody does it who replaces what others read. */
function write(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}

/** Whether who trusts that certificate alone can connect. */
async function verifies(port: number, ca: string): Promise<boolean> {
  const socket = connect({ host: '127.0.0.1', port, ca })
  try {
    await once(socket, 'secureConnect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

test('a renewed certificate is taken up while the server runs', async (t) => {
  const { files, first, look, told, has } = await startServer(t)
  const second = createCertificate()
  write(files.cert, second.cert)
  write(files.key, second.key)

  look()
  look()

  assert.deepEqual([await has(first), await has(second)], [false, true])
  assert.deepEqual(told, ['HTTP has a new certificate'])
})

test('a certificate whose key has not come yet is warned of once, and taken up when it has', async (t) => {
  const { files, first, look, told, has } = await startServer(t)
  const second = createCertificate()
  const warning = 'the new certificate of HTTP is of no use; the old one stays'

  write(files.cert, second.cert)
  look()
  look()
  const meanwhile = await has(first)
  write(files.key, second.key)
  look()

  assert.ok(meanwhile)
  assert.ok(await has(second))
  assert.deepEqual(told, [warning, 'HTTP has a new certificate'])
})

for (const [what, spoil] of [
  ['nonsense', (path: string) => write(path, 'nonsense')],
  ['gone', (path: string) => rmSync(path)],
] as const) {
  test(`a certificate that is ${what} leaves the old one in use`, async (t) => {
    const { files, first, look, told, has } = await startServer(t)

    spoil(files.cert)
    look()

    assert.ok(await has(first))
    assert.equal(told.length, 1)
  })
}

test('while nothing changes the files are not read again', async (t) => {
  const { look, told } = await startServer(t)

  look()

  assert.deepEqual(told, [])
})

test('the door looks after its certificate, until it is closed', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const folder = temporaryFolder(t)
  const tls = { cert: join(folder, 'tls.crt'), key: join(folder, 'tls.key') }
  const [first, second] = [createCertificate(), createCertificate()]
  write(tls.cert, first.cert)
  write(tls.key, first.key)
  const app = await openApp(t, { tls })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo

  write(tls.cert, second.cert)
  write(tls.key, second.key)
  t.mock.timers.tick(10_000)

  assert.ok(await verifies(port, second.cert))
})
