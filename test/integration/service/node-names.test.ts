import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { openNames } from '../../../src/service/open.ts'
import { temporaryFolder } from '../../support/stack.ts'

test('a missing runtime is reported by its socket, with what to do', async (t) => {
  const folder = temporaryFolder(t)
  const [file, socket] = [join(folder, 'c.yaml'), join(folder, 'containerd.sock')]
  writeFileSync(file, `cri: ${socket}\nimage: ${folder}\n`)

  await assert.rejects(openNames({ file }), {
    code: 'UNAVAILABLE',
    message: `the runtime cannot be asked: there is no socket at ${socket}; is containerd running (systemctl status containerd), and is this its cri: socket?`,
  })
})
