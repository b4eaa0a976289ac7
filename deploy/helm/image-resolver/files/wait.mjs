// Waits until each pod of a DaemonSet runs: `node wait.mjs NAME`, in a pod. Says which nodes are not done.
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const [, , name, account = '/var/run/secrets/kubernetes.io/serviceaccount'] = process.argv
const { KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port } = process.env
const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
const read = (file) => readFileSync(`${account}/${file}`, 'utf8').trim()
const namespace = read('namespace')
let said = ''

async function get(path) {
  const authorization = `Bearer ${read('token')}`
  const signal = AbortSignal.timeout(10_000)
  const response = await fetch(server + path, { headers: { authorization }, signal })
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
  return response.json()
}

/** @returns what is not done yet; '' when all is */
async function open() {
  const { metadata, spec, status } = await get(
    `/apis/apps/v1/namespaces/${namespace}/daemonsets/${name}`,
  )
  // Before its controller has seen it, nothing is desired.
  if (status.observedGeneration !== metadata.generation) return 'pods are not made yet'
  const { desiredNumberScheduled: wanted = 0, numberReady: ready = 0 } = status
  if (ready >= wanted) return ''
  const labels = Object.entries(spec.selector.matchLabels).map((pair) => pair.join('='))
  const selector = encodeURIComponent(labels.join(','))
  const { items } = await get(`/api/v1/namespaces/${namespace}/pods?labelSelector=${selector}`)
  const isReady = ({ conditions = [] }) =>
    conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  const nodes = items.filter((pod) => !isReady(pod.status)).map((pod) => pod.spec.nodeName)
  return `${ready} of ${wanted} nodes are done; not yet: ${nodes.slice(0, 20).join(', ')}`
}

for (;;) {
  const text = await open().catch((error) => `asking the API server failed: ${error.message}`)
  if (text === '') break
  if (text !== said) process.stdout.write(`${text}\n`)
  said = text
  await sleep(2_000)
}
process.stdout.write('all nodes are done\n')
