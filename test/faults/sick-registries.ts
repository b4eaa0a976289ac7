import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { createCertificate } from '../support/certificate.ts'
import { startRawServer } from '../support/listen.ts'
import { type Step, startScriptedRegistry } from '../support/scripted-registry.ts'
import { type Cleanup, temporaryFolder } from '../support/stack.ts'
import { type Fault, GOOD, type Secret, serving, WHO } from './fault.ts'

type Start = Fault['start']

const TOKEN: Step = { status: 200, body: JSON.stringify({ token: 'given' }), always: true }

/** Wants a user, and then goes by a script. */
export function scripted(...script: readonly Step[]): Start {
  return unguarded(WHO, ...script)
}

/** Goes by a script from the first request on. */
export function unguarded(...script: readonly Step[]): Start {
  return async (t, secret) => {
    const { requests, url } = await startScriptedRegistry(t, script)
    return { address: url, hearers: [{ name: 'it', requests, allowed: [secret] }] }
  }
}

/** One answer, to whatever is asked. */
export function always(status: number, headers: Step['headers'] = {}, body = ''): Start {
  return scripted({ status, headers, body, always: true })
}

/** Sends everybody to a token service that goes by a script. */
export function tokenService(...script: readonly Step[]): Start {
  return async (t, secret) => {
    const { requests, url } = await startScriptedRegistry(t, script)
    const sick = await challenging(t, url)
    const service = { name: 'its token service', requests, allowed: [secret] }
    return { ...sick, hearers: [...sick.hearers, service] }
  }
}

/** Sends everybody to a token service where nobody listens. */
export const closedTokenService: Start = async (t) => challenging(t, await closedUrl(t))

async function challenging(t: Cleanup, service: string) {
  const { requests, url } = await startScriptedRegistry(t, [challengeOf(`${service}/token`)])
  return { address: url, hearers: [{ name: 'it', requests, allowed: [] as readonly Secret[] }] }
}

/** Sends everybody to another host, which has the image and wants to know nothing. */
export async function redirecting(t: Cleanup, secret: Secret) {
  const elsewhere = await startScriptedRegistry(t, serving(GOOD))
  const location = `${elsewhere.url}/v2/team/app/manifests/1`
  const { requests, url } = await startScriptedRegistry(t, [
    WHO,
    { status: 307, headers: { location }, always: true },
  ])
  return {
    address: url,
    hearers: [
      { name: 'it', requests, allowed: [secret] },
      { name: 'where it redirects to', requests: elsewhere.requests, allowed: [] },
    ],
  }
}

/** Gives the image for a token that anybody gets at its own address. */
async function startTokenGiver(t: Cleanup) {
  const script: Step[] = []
  const registry = await startScriptedRegistry(t, script)
  script.push(
    { on: { path: /^\/token/ }, ...TOKEN },
    { on: { authorization: false }, ...challengeOf(`${registry.url}/token`) },
    ...serving(GOOD),
  )
  return registry
}

/** Sends everybody to another registry, which wants a token that it gives to everybody. */
export async function redirectingToTokens(t: Cleanup, secret: Secret) {
  const elsewhere = await startTokenGiver(t)
  const location = `${elsewhere.url}/v2/team/app/manifests/1`
  const { requests, url } = await startScriptedRegistry(t, [
    WHO,
    { status: 307, headers: { location }, always: true },
  ])
  return {
    address: url,
    hearers: [
      { name: 'it', requests, allowed: [secret] },
      { name: 'where it redirects to', requests: elsewhere.requests, allowed: [] },
    ],
  }
}

/** Its token service has moved to another path. */
export async function movedTokenService(t: Cleanup, secret: Secret) {
  const tokens = await startScriptedRegistry(t, [
    { on: { path: /^\/token/ }, status: 308, headers: { location: '/v1/token' }, always: true },
    { on: { path: /^\/v1\/token/, authorization: true }, ...TOKEN },
  ])
  const { requests, url } = await startScriptedRegistry(t, [
    { on: { authorization: false }, ...challengeOf(`${tokens.url}/token`) },
    ...serving(GOOD),
  ])
  return {
    address: url,
    hearers: [
      { name: 'it', requests, allowed: [] },
      { name: 'its token service', requests: tokens.requests, allowed: [secret] },
    ],
  }
}

function challengeOf(realm: string): Step {
  const headers = { 'www-authenticate': `Bearer realm="${realm}",service="sick"` }
  return { status: 401, headers, always: true }
}

/** Nobody listens there. */
export const refusing: Start = async (t) => ({ address: await closedUrl(t), hearers: [] })

/** A port that is in use, so that no other server gets it, and takes no connections. */
async function closedUrl(t: Cleanup): Promise<string> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  const [accepted] = (await once(server, 'connection')) as [Socket]
  t.after(() => {
    client.destroy()
    accepted.destroy()
    server.close()
  })
  return `http://127.0.0.1:${client.localPort}`
}

/** No name server knows it. */
export const nameless: Start = async (_t, _secret, number) => ({
  address: `http://registry-${number}.invalid:5000`,
  hearers: [],
})

/** TLS with a certificate of its own making, for an address; with `trusted` its authority is believed. */
export function withCertificate(
  ip: readonly [number, number, number, number],
  { trusted }: { readonly trusted: boolean },
): Start {
  return async (t, secret) => {
    const certificate = createCertificate(ip)
    const { requests, url } = await startScriptedRegistry(t, serving(GOOD), certificate)
    const ca = join(temporaryFolder(t), 'ca.pem')
    writeFileSync(ca, certificate.cert)
    return {
      address: url,
      fields: trusted ? { ca } : {},
      hearers: [{ name: 'it', requests, allowed: [secret] }],
    }
  }
}

/** Takes connections, and cuts them at the first byte of a handshake. */
export async function cuttingTls(t: Cleanup) {
  const { host } = await startRawServer(t, (socket) => {
    socket.once('data', () => socket.destroy())
  })
  return { address: `https://${host}`, hearers: [] }
}
