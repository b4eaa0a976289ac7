import { Transform } from 'node:stream'
import type { Clock } from '../../concurrency/clock.ts'

/** Nobody took what there was for too long. */
export class Stalled extends Error {
  override readonly name = 'Stalled'
}

/**
 * Lets bytes through, and fails with Stalled when none went through for so long. Placed at the end of
 * a pipeline whose source has a shorter limit of its own, that is the reader's doing.
 */
export function unlessStalled(ms: number, clock: Clock): Transform {
  let cancel = (): void => {}
  const wait = (): void => {
    cancel()
    cancel = clock.after(ms, () => stream.destroy(new Stalled(`nothing was taken for ${ms} ms`)))
  }
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      wait()
      done(null, chunk)
    },
    destroy(error, done) {
      cancel()
      done(error)
    },
  })
  wait()
  return stream
}
