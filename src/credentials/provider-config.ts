import { parseDuration } from '../config/duration.ts'
import { isEmpty, parseYaml, type YamlNode } from '../config/yaml.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { quote } from '../reference/quote.ts'
import { type ImagePattern, parseImagePattern } from './image-pattern.ts'

/** One provider of a kubelet's CredentialProviderConfig. */
export interface ProviderConfig {
  /** Of its program in the folder of providers. */
  readonly name: string
  /** Of the protocol it speaks: `credentialprovider.kubelet.k8s.io/v1`. */
  readonly apiVersion: string
  readonly matchImages: readonly ImagePattern[]
  readonly defaultCacheMs: number
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

const CONFIG_VERSION = /^kubelet\.config\.k8s\.io\/(?:v1|v1beta1|v1alpha1)$/
const WIRE_VERSION = /^credentialprovider\.kubelet\.k8s\.io\/(?:v1|v1beta1|v1alpha1)$/

/**
 * Parses the file of the kubelet's `--image-credential-provider-config`, YAML or JSON. Fields that
 * are not known are not looked at.
 *
 * @param note hears of providers that are left out
 * @throws ResolveError CONFIG_INVALID
 */
export function parseProviderConfig(
  text: string,
  note: (reason: string) => void,
): readonly ProviderConfig[] {
  const { root, problems } = parseYaml(text)
  const [problem] = problems
  if (problem !== undefined) throw invalid(`line ${problem.line}: ${problem.message}`)
  if (scalar(field(root, 'kind')) !== 'CredentialProviderConfig') {
    throw invalid('its `kind` is not CredentialProviderConfig')
  }
  if (!CONFIG_VERSION.test(scalar(field(root, 'apiVersion')))) {
    throw invalid('its `apiVersion` is not kubelet.config.k8s.io/v1, v1beta1 or v1alpha1')
  }
  return items(field(root, 'providers')).flatMap((node) => {
    try {
      return [parseProvider(node)]
    } catch (thrown) {
      note(`provider ${quote(scalar(field(node, 'name')))}: ${toResolveError(thrown).message}`)
      return []
    }
  })
}

function parseProvider(node: YamlNode): ProviderConfig {
  const name = scalar(field(node, 'name'))
  if (!/^[A-Za-z0-9._-]+$/.test(name) || name === '.' || name === '..') {
    throw invalid('its name has to be that of a file, of letters, digits, ., _ and -')
  }
  if (field(node, 'tokenAttributes') !== undefined) {
    throw invalid(
      'it needs tokens of service accounts (`tokenAttributes`), which only the kubelet has',
    )
  }
  const apiVersion = scalar(field(node, 'apiVersion'))
  if (!WIRE_VERSION.test(apiVersion)) {
    throw invalid(
      'its `apiVersion` is not credentialprovider.kubelet.k8s.io/v1, v1beta1 or v1alpha1',
    )
  }
  const matchImages = items(field(node, 'matchImages')).map((each) => {
    const pattern = parseImagePattern(scalar(each))
    if (pattern === undefined) throw invalid(`\`matchImages\` holds ${quote(scalar(each))}`)
    return pattern
  })
  const cacheDuration = scalar(field(node, 'defaultCacheDuration'))
  if (cacheDuration === '') throw invalid('it has no `defaultCacheDuration`')
  if (matchImages.length === 0) throw invalid('`matchImages` is empty')
  return {
    name,
    apiVersion,
    matchImages,
    defaultCacheMs: parseDuration(cacheDuration),
    args: items(field(node, 'args')).map(scalar),
    env: Object.fromEntries(
      items(field(node, 'env')).map((each) => [
        scalar(field(each, 'name')),
        scalar(field(each, 'value')),
      ]),
    ),
  }
}

function field(node: YamlNode | undefined, name: string): YamlNode | undefined {
  const value =
    node?.kind === 'map' ? node.entries.find(({ key }) => key === name)?.value : undefined
  return value === undefined || isEmpty(value) ? undefined : value
}

function items(node: YamlNode | undefined): readonly YamlNode[] {
  return node?.kind === 'list' ? node.items : []
}

function scalar(node: YamlNode | undefined): string {
  return node?.kind === 'text' ? node.text : ''
}

function invalid(message: string): ResolveError {
  return new ResolveError('CONFIG_INVALID', message)
}
