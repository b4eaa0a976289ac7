import { createSign, generateKeyPairSync, randomUUID } from 'node:crypto'

/** For a TLS server, or a client; trusted by whoever takes `cert` as an authority. PEM. */
export interface Certificate {
  readonly key: string
  readonly cert: string
}

const ECDSA_WITH_SHA256 = '06082a8648ce3d040302'
const COMMON_NAME = '0603550403'
const SUBJECT_ALT_NAME = '0603551d11'
const BASIC_CONSTRAINTS = '0603551d13'

/** A fresh self-signed certificate for an IPv4 address; Node reads certificates but makes none. */
export function createCertificate(
  ip: readonly [number, number, number, number] = [127, 0, 0, 1],
): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const algorithm = sequence(hex(ECDSA_WITH_SHA256))
  // Of two authorities of one name OpenSSL tries the first alone.
  const common = sequence(hex(COMMON_NAME), der(0x0c, Buffer.from(randomUUID())))
  const name = sequence(der(0x31, common))
  const year = new Date().getUTCFullYear()
  const validity = sequence(time(year - 1), time(year + 1))
  const address = sequence(der(0x87, Buffer.from(ip)))
  const extensions = sequence(
    sequence(hex(BASIC_CONSTRAINTS), der(0x04, sequence(hex('0101ff')))),
    sequence(hex(SUBJECT_ALT_NAME), der(0x04, address)),
  )
  const body = sequence(
    der(0xa0, hex('020102')),
    hex('020101'),
    algorithm,
    name,
    validity,
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, extensions),
  )
  const signature = createSign('sha256').update(body).sign(privateKey)
  const certificate = sequence(body, algorithm, der(0x03, Buffer.concat([hex('00'), signature])))
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: pem(certificate),
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  // Go takes no length that is written longer than it need be.
  if (length < 128) return Buffer.concat([Buffer.from([tag, length]), content])
  const size = length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function time(year: number): Buffer {
  return der(0x18, Buffer.from(`${year}0101000000Z`))
}

function hex(text: string): Buffer {
  return Buffer.from(text, 'hex')
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString('base64').replace(/.{64}/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
