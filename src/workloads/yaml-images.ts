import { isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap, type YAMLSeq } from 'yaml'
import { parseReference } from '../reference/reference.ts'
import { FoundImages } from './found-images.ts'
import { type FileImages, TextPositions } from './image-mention.ts'
import { type PathPattern, pathMatches } from './path-pattern.ts'
import { parseDocuments, textOf, type YamlDocument, YamlMistake } from './yaml-document.ts'

export interface YamlOptions {
  /** More places than the usual ones whose text is an image. */
  readonly paths: readonly PathPattern[]
  /** Arguments of containers whose value is an image, without their dashes. */
  readonly args: readonly string[]
  /** By its name it is a kustomization, also without a kind. */
  readonly isKustomization: boolean
}

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
  const positions = new TextPositions(text)
  const found = new FoundImages(text, positions)
  try {
    for (const document of parseDocuments(text)) new DocumentWalk(document, found, options).run()
  } catch (thrown) {
    if (!(thrown instanceof YamlMistake)) throw thrown
    const message = `no valid YAML: ${thrown.message}`
    return { mentions: [], problems: [{ ...positions.at(thrown.at), message, isBroken: true }] }
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

/** Finds the images of one document. */
class DocumentWalk {
  readonly #document: YamlDocument
  readonly #found: FoundImages
  readonly #options: YamlOptions
  /** Each mapping and list is walked once, by however many aliases it is reached. */
  readonly #walked = { objects: new Set<Node>(), values: new Set<Node>() }
  #owner = ''

  constructor(document: YamlDocument, found: FoundImages, options: YamlOptions) {
    this.#document = document
    this.#found = found
    this.#options = options
  }

  run(): void {
    const root = this.#document.root
    if (!isMap(root)) {
      this.#descend(root, [], isSeq(root))
      return
    }
    const kind = this.#document.text(root, 'kind')
    const isObject = kind !== undefined && this.#document.text(root, 'apiVersion') !== undefined
    if (kind === 'Kustomization' || (this.#options.isKustomization && kind === undefined)) {
      this.#kustomize(root)
    } else if (!isObject && isMap(this.#document.get(root, 'services'))) this.#compose(root)
    else this.#descend(root, [], !isObject)
  }

  /** @param isValues whether these are values of a Helm chart */
  #descend(node: Node | undefined, path: readonly Step[], isValues: boolean): void {
    if (node === undefined) return
    if (!isScalar(node)) {
      const walked = isValues ? this.#walked.values : this.#walked.objects
      if (walked.has(node)) return
      walked.add(node)
    }
    if (isSeq(node)) {
      for (const [index, item] of node.items.entries()) {
        this.#descend(this.#document.resolve(item), [...path, index], isValues)
      }
    } else if (isMap(node)) this.#descendMap(node, path, isValues)
    else if (isScalar(node) && this.#options.paths.some((each) => pathMatches(each, path))) {
      this.#found.add(node, this.#say(path))
    }
  }

  #descendMap(map: YAMLMap, path: readonly Step[], isValues: boolean): void {
    const before = this.#owner
    this.#owner = this.#ownerOf(map) ?? before
    if (isValues) this.#values(map, path)
    for (const [key, value] of this.#document.entries(map)) {
      const below = [...path, key]
      if (CONTAINER_LISTS.has(key) && isSeq(value)) this.#containers(value, below)
      else if (key === 'volumes' && isSeq(value)) this.#volumes(value, below)
      this.#descend(value, below, isValues || HELM_VALUES.has(key))
    }
    this.#owner = before
  }

  #containers(list: YAMLSeq, path: readonly Step[]): void {
    for (const [index, item] of list.items.entries()) {
      const container = this.#document.resolve(item)
      if (!isMap(container)) continue
      this.#add(this.#document.get(container, 'image'), [...path, index, 'image'])
      for (const field of ['command', 'args']) {
        const words = this.#document.get(container, field)
        if (isSeq(words)) this.#arguments(words, [...path, index, field])
      }
    }
  }

  /** `--name=IMAGE`, or `--name` with IMAGE as the next word. */
  #arguments(words: YAMLSeq, path: readonly Step[]): void {
    const { args } = this.#options
    if (args.length === 0) return
    let isNext = false
    for (const [index, item] of words.items.entries()) {
      const word = this.#document.resolve(item)
      if (!isScalar(word) || typeof word.value !== 'string') continue
      const [, name = '', equals] = /^-{0,2}([^=]+)(=)?/.exec(word.value) ?? []
      if (isNext) this.#add(word, [...path, index])
      const isNamed = args.includes(name)
      isNext = isNamed && equals === undefined
      if (isNamed && equals !== undefined) {
        const prefix = word.value.slice(0, word.value.indexOf('=') + 1)
        this.#found.add(word, this.#say([...path, index]), prefix)
      }
    }
  }

  /** Volumes of the kind `image` (core/v1 ImageVolumeSource). */
  #volumes(list: YAMLSeq, path: readonly Step[]): void {
    for (const [index, item] of list.items.entries()) {
      const volume = this.#document.resolve(item)
      const image = isMap(volume) ? this.#document.get(volume, 'image') : undefined
      if (isMap(image)) {
        this.#add(this.#document.get(image, 'reference'), [...path, index, 'image', 'reference'])
      }
    }
  }

  #compose(root: YAMLMap): void {
    const services = this.#document.get(root, 'services')
    if (!isMap(services)) return
    for (const [name, service] of this.#document.entries(services)) {
      if (isMap(service))
        this.#add(this.#document.get(service, 'image'), ['services', name, 'image'])
    }
    this.#descend(root, [], false)
  }

  /**
   * `repository` with `tag` or `digest`, and `registry` where it is kept apart; or `image` as one text.
   * Charts that know no digest put repository and tag together with a colon, so that a tag with a
   * digest behind it reaches the pod.
   */
  #values(map: YAMLMap, path: readonly Step[]): void {
    const [name, tag] = [this.#document.pair(map, 'repository'), this.#document.pair(map, 'tag')]
    const image = this.#document.pair(map, 'image')
    if (name !== undefined) this.#repository(map, name, path)
    else if (image !== undefined && tag !== undefined) this.#repository(map, image, path)
    else if (image !== undefined && isScalar(image.value)) {
      const text = textOf(image.value) ?? ''
      if (/:[^/]+$|@/.test(text)) this.#add(image.value, [...path, 'image'])
    }
  }

  #repository(map: YAMLMap, name: Pair, path: readonly Step[]): void {
    const where = this.#say(path)
    const repository = this.#found.part(this.#document.resolve(name.value), where)
    const registry = this.#found.part(this.#document.get(map, 'registry'), where)
    const tag = this.#found.part(this.#document.get(map, 'tag'), where)
    const digest = this.#document.get(map, 'digest')
    if (repository === undefined) return
    const written = isScalar(digest) ? (textOf(digest) ?? '') : ''
    if (tag === undefined && written === '') return
    const domain = registry === undefined ? '' : `${registry.text.replace(/\/$/, '')}/`
    const tagged = tag === undefined ? '' : `:${tag.text}`
    const reference = `${domain}${repository.text}${tagged}${written === '' ? '' : `@${written}`}`
    const at = tag?.scalar ?? repository.scalar
    // A digest may be a placeholder.
    if (!isReference(`${domain}${repository.text}${tagged}`)) {
      this.#found.problem(at, `${where} is no image: ${reference.slice(0, 200)}`)
      return
    }
    const edited = isScalar(digest) ? digest : at
    this.#found.put({ at, edited }, where, reference, (pin) => {
      if (isScalar(digest)) {
        const moved = tag !== undefined && pin.tag !== undefined && tag.text !== pin.tag
        return [
          ...(moved ? [this.#found.replace(tag.scalar, pin.tag)] : []),
          this.#found.replace(digest, pin.digest),
        ]
      }
      return tag === undefined
        ? []
        : [this.#found.replace(tag.scalar, `${pin.tag ?? 'latest'}@${pin.digest}`)]
    })
  }

  /** `images:` of a kustomization: a new name, a new tag, a digest (kustomize, image transformer). */
  #kustomize(root: YAMLMap): void {
    const images = this.#document.get(root, 'images')
    if (isSeq(images)) {
      for (const [index, item] of images.items.entries()) {
        const image = this.#document.resolve(item)
        if (isMap(image)) this.#kustomizeImage(image, ['images', index])
      }
    }
    this.#descend(root, [], false)
  }

  #kustomizeImage(image: YAMLMap, path: readonly Step[]): void {
    const where = this.#say(path)
    const name =
      this.#found.part(this.#document.get(image, 'newName'), where) ??
      this.#found.part(this.#document.get(image, 'name'), where)
    const tagPair = this.#document.pair(image, 'newTag')
    const tag = this.#found.part(this.#document.resolve(tagPair?.value), where)
    const digest = this.#document.get(image, 'digest')
    const written = isScalar(digest) ? (textOf(digest) ?? '') : ''
    if (name === undefined || (tag === undefined && written === '')) return
    const tagged = tag === undefined ? '' : `:${tag.text}`
    const reference = `${name.text}${tagged}${written === '' ? '' : `@${written}`}`
    const at = tag?.scalar ?? name.scalar
    const inserted = (tagPair?.value ?? at) as Node
    const edited = isScalar(digest) ? digest : inserted
    this.#found.put({ at, edited }, where, reference, (pin) => {
      if (isScalar(digest)) return [this.#found.replace(digest, pin.digest)]
      return tagPair === undefined
        ? []
        : [this.#found.insertAfter(tagPair, image, ['digest', pin.digest])]
    })
  }

  #add(node: Node | undefined, path: readonly Step[]): void {
    if (isScalar(node)) this.#found.add(node, this.#say(path))
  }

  /** `Deployment shop/web`, of a Kubernetes object. */
  #ownerOf(map: YAMLMap): string | undefined {
    const kind = this.#document.text(map, 'kind')
    const metadata = this.#document.get(map, 'metadata')
    if (kind === undefined || !isMap(metadata)) return undefined
    const names = [
      this.#document.text(metadata, 'namespace'),
      this.#document.text(metadata, 'name'),
    ]
    const name = names.filter((each) => each !== undefined).join('/')
    return `${kind}${name === '' ? '' : ` ${name}`}: `
  }

  #say(path: readonly Step[]): string {
    const steps = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${step}`))
    return this.#owner + steps.join('').replace(/^\./, '')
  }
}
