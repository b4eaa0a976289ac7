import assert from 'node:assert/strict'
import { status } from '@grpc/grpc-js'
import { requestedImage } from '../../../src/cri/image-messages.ts'
import { readMessage, readString } from '../../../src/cri/wire.ts'
import { respond, respondStatus } from '../../support/fake-runtime.ts'
import { content, descriptor, OCI_MANIFEST, type TestImage } from '../../support/images.ts'
import { ALL, onEach, onNewNode, scriptOf } from './behaviour.ts'
import { outcomeOf } from './outcome.ts'
import { message, NOTHING } from './wire.ts'

const PULL = '/runtime.v1.ImageService/PullImage'
const HANDLER = 19
const SCHEMA_1 = 'application/vnd.docker.distribution.manifest.v1+prettyjws'

const EMPTY = content('application/vnd.oci.empty.v1+json', Buffer.from('{}'))
const NOTE = content('text/plain', Buffer.from('a note'))

const ARTIFACT: TestImage = {
  ...bare(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: 'application/x.note',
    config: descriptor(EMPTY),
    layers: [descriptor(NOTE)],
  }),
  blobs: [EMPTY, NOTE],
}

/** What has no image config, and so no image ID. */
const WITHOUT_CONFIG: Readonly<Record<string, TestImage>> = {
  'an artifact': ARTIFACT,
  'schema 1': bare(SCHEMA_1, { schemaVersion: 1, name: 'x', tag: '1', fsLayers: [], history: [] }),
  'a manifest without a config': bare(OCI_MANIFEST, {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    layers: [],
  }),
}

onEach(ALL, (behaviour) => {
  for (const [what, image] of Object.entries(WITHOUT_CONFIG)) {
    behaviour('43', `${what} has no ID, and the pull ends as at the runtime`, async (node) => {
      const { name } = await node.publish({ domain: node.origin.host, image })

      const resolved = await node.get(`/resolve?ref=${name}`)
      const ours = await outcomeOf(node.kubelet.pullImage(name))
      const direct = await outcomeOf(node.direct.pullImage(name))

      assert.notEqual(resolved.status, 200)
      assert.match(resolved.body, /without a config|schema 1|no image but an artifact/i)
      // Where the runtime answers a pull with a name, the kubelet gets the ID behind it.
      const named = direct.code === 0 ? String(direct.answer) : ''
      const answer = named === '' ? {} : { answer: (await node.direct.imageStatus(named))?.id }
      // Behind the runtime's own words stands what registries said.
      const [details] = ours.details.split('; image-resolver: ')
      assert.deepEqual({ ...ours, details }, { ...direct, ...answer })
      // An artifact is taken by CRI-O and by containerd since 1.7; the others are no image anywhere.
      if (node.name === 'containerd' && image !== ARTIFACT) assert.notEqual(ours.code, 0)
    })
  }
})

// No key of ours: nothing that the runtime says of images is kept, so there is nothing that two
// handlers could share. What is kept is what a tag leads to, which no handler changes.
onNewNode(
  ['crio-like', 'scripted'],
  '44',
  'a runtime handler is the runtime’s to judge',
  async (start) => {
    const node = await start()
    const { fake, pull } = scriptOf(node)
    const { image, name } = await node.publish()
    const rejection = 'RuntimeHandler "nope" not supported'
    const requests: Buffer[] = []
    fake.handle(PULL, async (call) => {
      const [request = NOTHING] = await call.request
      requests.push(request)
      const handler = readString(readMessage(request, 1) ?? NOTHING, HANDLER)
      if (handler === 'nope') return respondStatus(call.stream, status.INVALID_ARGUMENT, rejection)
      const { id } = await pull(requestedImage(request))
      respond(call.stream, [message([1, id])])
    })
    const annotation = message([1, 'key'], [2, 'value'])
    const sandbox = message([1, message([1, 'pod'], [3, 'team'])], [99, 'unknown'])
    const asked = (handler: string) =>
      message([1, message([1, name], [2, annotation], [HANDLER, handler])], [3, sandbox])

    const refused = await outcomeOf(node.kubelet.raw(PULL, asked('nope')))
    const refusedRequests = requests.splice(0)
    const answers = []
    if (node.name === 'crio-like') {
      for (const handler of ['kata', 'runc'])
        answers.push(await node.kubelet.raw(PULL, asked(handler)))
    }

    assert.deepEqual([refused.code, refused.details], [status.INVALID_ARGUMENT, rejection])
    assert.deepEqual(refusedRequests.at(-1), asked('nope'))
    assert.ok(refusedRequests.length > 1)
    for (const request of [...refusedRequests, ...requests]) {
      assert.deepEqual(readMessage(request, 3), sandbox)
      assert.deepEqual(readMessage(readMessage(request, 1) ?? NOTHING, 2), annotation)
    }
    assert.deepEqual(
      requests.map((each) => readString(readMessage(each, 1) ?? NOTHING, HANDLER)),
      answers.length === 0 ? [] : ['kata', 'runc'],
    )
    for (const { response } of answers) assert.deepEqual(response, message([1, node.idOf(image)]))
  },
)

function bare(mediaType: string, value: unknown): TestImage {
  const platform = { os: 'linux', architecture: 'amd64' }
  return { ...content(mediaType, value), imageId: '', platform, children: [], blobs: [] }
}
