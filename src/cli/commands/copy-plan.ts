import type { ImagePlace, MissingCopy } from '../../resolver/availability.ts'
import { UsageError } from '../options.ts'

const COPY_TOOLS = ['skopeo', 'crane', 'regsync', 'hauler', 'zarf', 'oc-mirror'] as const
export type CopyTool = (typeof COPY_TOOLS)[number]

/** @param value of `--plan`. @throws UsageError */
export function copyToolOf(value: string | undefined): CopyTool | undefined {
  const tool = COPY_TOOLS.find((each) => each === value)
  if (tool !== undefined || value === undefined) return tool
  throw new UsageError(`--plan knows ${COPY_TOOLS.join(', ')}; not ${value}`)
}

/**
 * What makes a tool copy images: commands for skopeo and crane, a file for the others. Sources are named
 * by digest, so that what is copied is what was looked at, also when a tag moves in between.
 *
 * @returns text that ends in a newline; a comment alone where nothing is to be copied, for a shell to run
 */
export function copyPlan(tool: CopyTool, copies: readonly MissingCopy[]): string {
  const unique = [...new Map(copies.map((copy) => [copy.target.reference, copy])).values()]
  if (unique.length === 0) return '# nothing is to be copied\n'
  return `${PLANS[tool](unique).join('\n')}\n`
}

const PLANS: Readonly<Record<CopyTool, (copies: readonly MissingCopy[]) => readonly string[]>> = {
  skopeo: (copies) =>
    copies.map(({ source, target }) =>
      [
        'skopeo copy --all --preserve-digests',
        ...(source.plainHttp ? ['--src-tls-verify=false'] : []),
        ...(target.plainHttp ? ['--dest-tls-verify=false'] : []),
        `docker://${byDigest(source)}`,
        `docker://${target.reference}`,
      ].join(' '),
    ),
  crane: (copies) =>
    copies.map(({ source, target }) => {
      const insecure = source.plainHttp || target.plainHttp ? ['--insecure'] : []
      return ['crane copy', ...insecure, byDigest(source), target.reference].join(' ')
    }),
  regsync: (copies) => {
    const plain = copies
      .flatMap((copy) => [copy.source, copy.target])
      .filter((each) => each.plainHttp)
    const hosts = [...new Set(plain.map(({ reference }) => reference.split('/')[0]))]
    const creds = hosts.flatMap((host) => [`  - registry: ${host}`, '    tls: disabled'])
    return [
      'version: 1',
      ...(creds.length > 0 ? ['creds:', ...creds] : []),
      'sync:',
      ...copies.flatMap(({ source, target }) => [
        `  - source: ${byDigest(source)}`,
        `    target: ${target.reference}`,
        '    type: image',
      ]),
    ]
  },
  hauler: (copies) => [
    'apiVersion: content.hauler.cattle.io/v1',
    'kind: Images',
    'metadata:',
    '  name: missing-images',
    'spec:',
    '  images:',
    ...sources(copies).map((reference) => `    - name: ${reference}`),
  ],
  zarf: (copies) => [
    'kind: ZarfPackageConfig',
    'metadata:',
    '  name: missing-images',
    'components:',
    '  - name: images',
    '    required: true',
    '    images:',
    ...sources(copies).map((reference) => `      - ${reference}`),
  ],
  'oc-mirror': (copies) => [
    'apiVersion: mirror.openshift.io/v2alpha1',
    'kind: ImageSetConfiguration',
    'mirror:',
    '  additionalImages:',
    ...sources(copies).map((reference) => `    - name: ${reference}`),
  ],
}

/** Of tools that choose the target by themselves: the tag, which they keep. */
function sources(copies: readonly MissingCopy[]): readonly string[] {
  return [...new Set(copies.map(({ source }) => source.reference))]
}

/** `repository@digest`: no tool of the field takes a tag beside it. */
function byDigest({ digest, reference }: ImagePlace): string {
  if (digest === undefined || reference.includes('@')) return reference
  return `${reference.replace(/:[^/:]*$/, '')}@${digest}`
}
