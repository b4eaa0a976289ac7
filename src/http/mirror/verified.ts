import { createHash } from 'node:crypto'
import { Transform } from 'node:stream'
import { ResolveError } from '../../errors.ts'
import { parseDigest } from '../../reference/digest.ts'

/**
 * Lets bytes through that have to have this digest. One piece is always held back, so that whoever
 * receives them does not have them all before it is known whether they are the right ones; if not, it
 * fails with DIGEST_INVALID.
 */
export function verified(digest: string): Transform {
  const { algorithm, hex } = parseDigest(digest)
  const hash = createHash(algorithm)
  let held: Buffer | undefined
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk)
      const before = held
      held = chunk
      done(null, before)
    },
    flush(done) {
      if (hash.digest('hex') === hex) done(null, held)
      else done(mismatch(digest))
    },
  })
}

function mismatch(digest: string): ResolveError {
  const message = `the registry's bytes are not those of ${digest}`
  return new ResolveError('DIGEST_INVALID', message, { step: 'manifest', status: 200 })
}
