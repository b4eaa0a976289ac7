import { saveSnapshot } from '../../src/resolver/cache/snapshot.ts'
import { contentOf, scopeOf } from './cache.ts'

/** Saves a snapshot into the file that it is given, and is killed half-way. */
const [, , file = ''] = process.argv
const scope = scopeOf()
let asked = 0
await saveSnapshot(contentOf(2_000, 'newer'), {
  file,
  scope: {
    ...scope,
    keyFor: (reference, platform) => {
      asked += 1
      if (asked === 1_000) process.kill(process.pid, 'SIGKILL')
      return scope.keyFor(reference, platform)
    },
  },
})
