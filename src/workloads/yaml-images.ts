import { parseReference } from '../reference/reference.ts'
import {
  fieldOf,
  itemsOf,
  placeOf,
  scalarOf,
  type YamlList,
  type YamlMap,
  type YamlNode,
} from '../yaml/node.ts'
import { YamlError } from '../yaml/parts.ts'
import { readYaml } from '../yaml/read.ts'
import { SourceText } from '../yaml/source-text.ts'
import { FoundImages, type Part } from './found-images.ts'
import type { Edit, FileImages, Pin } from './image-mention.ts'
import { type PathPattern, pathMatches } from './path-pattern.ts'

export interface YamlOptions {
  /** Places beside the usual ones that hold an image. */
  readonly paths: readonly PathPattern[]
  /** Arguments of containers that are an image, without their dashes. */
  readonly args: readonly string[]
  /** By its name it is a kustomization, also without a kind. */
  readonly isKustomization: boolean
}

const LIMITS = { maxDepth: 256, maxMerged: 100_000 } as const

/** Lists of containers in every kind of workload (core/v1 PodSpec), and in custom resources that hold one. */
const CONTAINER_LISTS: ReadonlySet<string> = new Set([
  'containers',
  'initContainers',
  'ephemeralContainers',
])
/** Under these a Kubernetes object holds the values of a Helm chart: HelmRelease (Flux), Application (Argo CD). */
const HELM_VALUES: ReadonlySet<string> = new Set(['values', 'valuesObject'])

/**
 * The images of YAML or JSON: Kubernetes objects, kustomizations, compose files and values of Helm charts,
 * told apart document by document. A file that is no YAML, as templates often are, has a problem that
 * says so and no images.
 */
export function yamlImages(text: string, options: YamlOptions): FileImages {
  const source = new SourceText(text)
  const found = new FoundImages(source)
  try {
    for (const root of readYaml(source, LIMITS)) new DocumentWalk(found, options).run(root)
  } catch (thrown) {
    if (!(thrown instanceof YamlError)) throw thrown
    const place = source.at(thrown.at)
    const isTemplate = source.line(place.line).includes('{{')
    const why = isTemplate ? '; it is a template: give what is rendered from it' : ''
    const message = `no valid YAML: ${thrown.message}${why}`
    return { mentions: [], problems: [{ ...place, message, isBroken: true }] }
  }
  return found.inOrder()
}

type Step = string | number

/** Charts have other repositories too: of Git, of Helm. */
function isReference(text: string): boolean {
  try {
    parseReference(text)
    return true
  } catch {
    return false
  }
}

/** An image that is composed of several fields of one mapping. */
interface Composed {
  readonly name: Part | undefined
  /** The domain, where it is kept apart. */
  readonly registry?: Part | undefined
  readonly tag: Part | undefined
  /** Whether what is no image is something else that has such fields. */
  readonly isGuessed: boolean
  /** The place where the tag stands, if another one is edited than the text of the tag. */
  readonly place?: number | undefined
  /** What is edited where there is no field for the digest; undefined: nothing can be. */
  readonly pinTag: ((pin: Pin) => Edit) | undefined
}

/** What a mapping or list is walked as: a list of containers is also one of other things. */
type Walked = 'objects' | 'values' | 'containers' | 'volumes' | 'arguments'

/** Finds the images of one document. */
class DocumentWalk {
  readonly #found: FoundImages
  readonly #options: YamlOptions
  /** Each is walked once as that, by however many aliases it is reached. */
  readonly #walked: Readonly<Record<Walked, Set<YamlNode>>> = {
    objects: new Set(),
    values: new Set(),
    containers: new Set(),
    volumes: new Set(),
    arguments: new Set(),
  }
  #owner = ''

  constructor(found: FoundImages, options: YamlOptions) {
    this.#found = found
    this.#options = options
  }

  run(root: YamlNode): void {
    if (root.kind !== 'map') {
      this.#descend(root, [], root.kind === 'list')
      return
    }
    const kind = scalarOf(valueIn(root, 'kind'))
    const isObject = kind !== undefined && scalarOf(valueIn(root, 'apiVersion')) !== undefined
    if (kind === 'Kustomization' || (this.#options.isKustomization && kind === undefined)) {
      this.#kustomize(root)
    } else if (!isObject && valueIn(root, 'services')?.kind === 'map') this.#compose(root)
    else this.#descend(root, [], !isObject)
  }

  /** @param isValues whether these are values of a Helm chart */
  #descend(node: YamlNode, path: readonly Step[], isValues: boolean): void {
    if (node.kind === 'text') {
      if (this.#options.paths.some((each) => pathMatches(each, path))) this.#add(node, path)
      return
    }
    if (!this.#isNew(node, isValues ? 'values' : 'objects')) return
    if (node.kind === 'map') this.#descendMap(node, path, isValues)
    else {
      for (const [index, item] of node.items.entries()) {
        this.#descend(item, [...path, index], isValues)
      }
    }
  }

  #descendMap(map: YamlMap, path: readonly Step[], isValues: boolean): void {
    const before = this.#owner
    this.#owner = ownerOf(map) ?? before
    if (isValues) this.#values(map, path)
    for (const [key, { value }] of map.fields) {
      const below = [...path, key]
      if (value.kind === 'list') {
        if (CONTAINER_LISTS.has(key) && this.#isNew(value, 'containers')) {
          this.#containers(value, below)
        } else if (key === 'volumes' && this.#isNew(value, key)) this.#volumes(value, below)
      }
      this.#descend(value, below, isValues || HELM_VALUES.has(key))
    }
    this.#owner = before
  }

  #isNew(node: YamlNode, as: Walked): boolean {
    const walked = this.#walked[as]
    if (walked.has(node)) return false
    walked.add(node)
    return true
  }

  #containers(list: YamlList, path: readonly Step[]): void {
    for (const [index, container] of list.items.entries()) {
      if (container.kind !== 'map') continue
      const below = [...path, index, 'image']
      const { key, value } = container.fields.get('image') ?? {}
      this.#add(value, below)
      // `{{ … }}` is a mapping in a mapping, with the inner one as the name of a field.
      if (value?.kind === 'map' && value.isFlow && key !== undefined) {
        const inner = value.fields.get('')
        const isTemplate = inner !== undefined && inner.key === undefined
        if (isTemplate) this.#found.problem(key, `${this.#say(below)} is a template`)
      }
      for (const field of ['command', 'args']) {
        const words = valueIn(container, field)
        if (words?.kind === 'list' && this.#isNew(words, 'arguments')) {
          this.#arguments(words, [...path, index, field])
        }
      }
    }
  }

  /** `--name=IMAGE`, or `--name` with IMAGE as the next word. */
  #arguments(words: YamlList, path: readonly Step[]): void {
    const { args } = this.#options
    if (args.length === 0) return
    let isNext = false
    for (const [index, word] of words.items.entries()) {
      const text = scalarOf(word)
      if (text === undefined) continue
      const [, name = '', equals] = /^-{0,2}([^=]+)(=)?/.exec(text) ?? []
      if (isNext) this.#add(word, [...path, index])
      const isNamed = args.includes(name)
      isNext = isNamed && equals === undefined
      if (isNamed && equals !== undefined) {
        this.#add(word, [...path, index], text.slice(0, text.indexOf('=') + 1))
      }
    }
  }

  /** Volumes of the kind `image` (core/v1 ImageVolumeSource). */
  #volumes(list: YamlList, path: readonly Step[]): void {
    for (const [index, volume] of list.items.entries()) {
      const image = fieldOf(volume, 'image')
      if (image === undefined) continue
      this.#add(fieldOf(image, 'reference'), [...path, index, 'image', 'reference'])
    }
  }

  #compose(root: YamlMap): void {
    const services = valueIn(root, 'services')
    if (services?.kind !== 'map') return
    for (const [name, { value: service }] of services.fields) {
      this.#add(fieldOf(service, 'image'), ['services', name, 'image'])
    }
    this.#descend(root, [], false)
  }

  /**
   * `repository` with `tag` or `digest`, and `registry` where it is kept apart; or `image` as one text.
   * Charts that know no digest put repository and tag together with a colon, so that a tag with a
   * digest behind it reaches the pod.
   */
  #values(map: YamlMap, path: readonly Step[]): void {
    const [name, image] = [valueIn(map, 'repository'), valueIn(map, 'image')]
    const isComposed = name !== undefined || (image !== undefined && map.fields.has('tag'))
    if (!isComposed) {
      if (/:[^/]+$|@/.test(scalarOf(image) ?? '')) {
        this.#add(image, [...path, 'image'])
      }
      return
    }
    const where = this.#say(path)
    const tag = this.#found.part(valueIn(map, 'tag'), where)
    this.#composed(map, where, {
      name: this.#found.part(name ?? image, where),
      registry: this.#found.part(valueIn(map, 'registry'), where),
      tag,
      isGuessed: true,
      pinTag: tag && ((pin) => this.#found.replace(tag.at, `${pin.tag ?? 'latest'}@${pin.digest}`)),
    })
  }

  /** `images:` of a kustomization: a new name, a new tag, a digest (kustomize, image transformer). */
  #kustomize(root: YamlMap): void {
    for (const [index, image] of itemsOf(valueIn(root, 'images')).entries()) {
      if (image.kind !== 'map') continue
      const where = this.#say(['images', index])
      const field = image.fields.get('newTag')
      this.#composed(image, where, {
        name:
          this.#found.part(valueIn(image, 'newName'), where) ??
          this.#found.part(valueIn(image, 'name'), where),
        tag: this.#found.part(field?.value, where),
        isGuessed: false,
        place: field?.value.kind === 'text' ? placeOf(field.value).end : undefined,
        pinTag: field && ((pin) => this.#found.insertAfter(field, image, ['digest', pin.digest])),
      })
    }
    this.#descend(root, [], false)
  }

  #composed(map: YamlMap, where: string, composed: Composed): void {
    const { isGuessed, name, pinTag, place, registry, tag } = composed
    const field = valueIn(map, 'digest')
    const digest = field?.kind === 'text' && field.start >= 0 ? field : undefined
    // It may be a placeholder, or empty.
    const written = scalarOf(digest) ?? ''
    if (name === undefined || (tag === undefined && written === '')) return
    const domain = registry === undefined ? '' : `${registry.text.replace(/\/$/, '')}/`
    const tagged = `${domain}${name.text}${tag === undefined ? '' : `:${tag.text}`}`
    const reference = `${tagged}${written === '' ? '' : `@${written}`}`
    const at = tag?.at ?? name.at
    if (isGuessed && !isReference(tagged)) {
      this.#found.problem(at, `${where} is no image: ${reference.slice(0, 200)}`)
      return
    }
    this.#found.put({
      at,
      edited: digest?.start ?? place ?? at.start,
      path: where,
      reference,
      pin: (pin) => {
        if (digest !== undefined) return [this.#found.replace(digest, pin.digest)]
        return pinTag === undefined ? [] : [pinTag(pin)]
      },
    })
  }

  /** @param prefix of the text, before the image */
  #add(node: YamlNode | undefined, path: readonly Step[], prefix = ''): void {
    if (node?.kind === 'text') this.#found.add(node, this.#say(path), prefix)
  }

  #say(path: readonly Step[]): string {
    const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    return this.#owner + steps.join('').replace(/^\./, '')
  }
}

/** `Deployment shop/web`, of a Kubernetes object. */
function ownerOf(map: YamlMap): string | undefined {
  const [kind, metadata] = [scalarOf(valueIn(map, 'kind')), valueIn(map, 'metadata')]
  if (kind === undefined || metadata?.kind !== 'map') return undefined
  const names = [scalarOf(valueIn(metadata, 'namespace')), scalarOf(valueIn(metadata, 'name'))]
  const name = names.filter((each) => each !== undefined).join('/')
  return `${kind}${name === '' ? '' : ` ${name}`}: `
}

function valueIn(map: YamlMap, name: string): YamlNode | undefined {
  return map.fields.get(name)?.value
}
