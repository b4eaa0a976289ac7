import { sign, X509Certificate } from 'node:crypto'
import type { Certificate } from './certificate.ts'
import { TOKEN_ISSUER } from './docker-registry.ts'

const LIFETIME_SECONDS = 300

/** A token that docker-registry believes (distribution docs, "Token Authentication Implementation"). */
export function signedToken(certificate: Certificate, service: string, scope: string): string {
  const [type = '', name = '', actions = ''] = scope.split(':')
  const now = Math.floor(Date.now() / 1_000)
  const header = { typ: 'JWT', alg: 'ES256', x5c: [derOf(certificate)] }
  const claims = {
    iss: TOKEN_ISSUER,
    sub: '',
    aud: service,
    exp: now + LIFETIME_SECONDS,
    nbf: now - LIFETIME_SECONDS,
    iat: now,
    jti: 'test',
    access: type === '' ? [] : [{ type, name, actions: actions.split(',') }],
  }
  const text = [header, claims].map((part) => encode(JSON.stringify(part))).join('.')
  const key = { key: certificate.key, dsaEncoding: 'ieee-p1363' as const }
  return `${text}.${sign('sha256', Buffer.from(text), key).toString('base64url')}`
}

function derOf({ cert }: Certificate): string {
  return new X509Certificate(cert).raw.toString('base64')
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}
