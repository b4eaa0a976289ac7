import { execFileSync } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'esbuild'

// `npm run build`: dist/ as it is shipped. It needs neither node_modules nor the sources at run time.
//
//   dist/app/main.js    the program. What it loads only at need stays in files of their own beside it
//   dist/page/          the page for people
//   dist/bundled.json   the npm packages that are in dist/app; dist/LICENSES has their licences
//   dist/src/client.js  image-resolver/client, without imports, with the types that it refers to

const ROOT = join(import.meta.dirname, '..')
const PAGE = 'src/http/page'

/** These are required by packages of ours in functions that are never called. */
const NEVER_LOADED = [
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  'light-my-request',
]

/**
 * `import … from 'node:http'` reads each of its exports, getters too, and one of them loads undici in Node
 * 22 and later: 13 MiB and 30 ms. A bundle needs no live bindings, so all of Node's modules come without.
 */
const builtinsWithoutFacade: Plugin = {
  name: 'builtins-without-facade',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(?:node:.*|${builtinModules.join('|')})$`)
    onResolve({ filter }, ({ path, kind }) =>
      kind === 'import-statement' && path !== 'node:module' ? { path, namespace: 'builtin' } : null,
    )
    onLoad({ filter: /^/, namespace: 'builtin' }, ({ path }) => ({
      contents: `module.exports = process.getBuiltinModule(${JSON.stringify(path)})`,
    }))
  },
}

const neverLoaded: Plugin = {
  name: 'never-loaded',
  setup({ onResolve, onLoad }) {
    const filter = new RegExp(`^(?:${NEVER_LOADED.join('|')})$`)
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'never-loaded' }))
    onLoad({ filter: /^/, namespace: 'never-loaded' }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is not in the bundle`)})`,
    }))
  },
}

process.chdir(ROOT)
rmSync('dist', { recursive: true, force: true })
await Promise.all([buildApp(), buildClient(), buildPage()])

async function buildApp(): Promise<void> {
  const { metafile } = await build({
    ...common('node20'),
    entryPoints: ['src/main.ts'],
    outdir: 'dist/app',
    splitting: true,
    platform: 'node',
    // Names stay, so that a stack trace can be read without the source maps, which Node takes 150 ms
    // and 12 MiB to load (--enable-source-maps).
    minifySyntax: true,
    minifyWhitespace: true,
    sourcemap: 'linked',
    sourcesContent: false,
    banner: {
      js: "import{createRequire as requireFrom}from'node:module';const require=requireFrom(import.meta.url);",
    },
    define: {
      IMAGE_RESOLVER_COMMIT: JSON.stringify(commit()),
      IMAGE_RESOLVER_VERSION: JSON.stringify(productVersion()),
    },
    // The other one looks a variable of the environment up at each token: a sixth of the time that a large file takes.
    alias: { yaml: './node_modules/yaml/browser/index.js' },
    plugins: [builtinsWithoutFacade, neverLoaded],
    metafile: true,
  })
  const packages = bundledPackages(Object.keys(metafile.inputs))
  writeFileSync(
    'dist/bundled.json',
    `${JSON.stringify(
      packages.map(({ folder, ...each }) => each),
      null,
      2,
    )}\n`,
  )
  writeFileSync('dist/LICENSES', licenceTexts(packages))
}

async function buildClient(): Promise<void> {
  execFileSync(
    process.execPath,
    ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.client.json'],
    {
      stdio: 'inherit',
    },
  )
  await build({
    ...common('es2023'),
    entryPoints: ['src/client.ts'],
    outfile: 'dist/src/client.js',
  })
}

async function buildPage(): Promise<void> {
  mkdirSync('dist/page', { recursive: true })
  for (const name of readdirSync(PAGE)) {
    if (/\.(css|html|svg)$/.test(name) || name === 'theme.js') {
      cpSync(join(PAGE, name), join('dist/page', name))
    }
  }
  await build({
    ...common('es2023'),
    entryPoints: [join(PAGE, 'page.js')],
    outfile: 'dist/page/page.js',
    charset: 'utf8',
    minify: true,
  })
}

function common(target: string) {
  return { bundle: true, format: 'esm', target, logLevel: 'warning' } satisfies BuildOptions
}

/** Empty where the sources are not in a repository of their own. */
function commit(): string {
  if (!existsSync('.git')) return ''
  return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { encoding: 'utf8' }).trim()
}

function productVersion(): string {
  return JSON.parse(readFileSync('package.json', 'utf8')).version
}

interface Bundled {
  readonly name: string
  readonly version: string
  readonly license: string
  readonly folder: string
}

function bundledPackages(files: readonly string[]): readonly Bundled[] {
  const folders = files.flatMap(
    (file) => /^.*\bnode_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [],
  )
  return [...new Set(folders)].sort().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'))
    return { name, version, license, folder }
  })
}

/** The texts that have to go with what is bundled. */
function licenceTexts(packages: readonly Bundled[]): string {
  const texts = packages.map(({ name, version, license, folder }) => {
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
    const text = file === undefined ? license : readFileSync(join(folder, file), 'utf8')
    return `${name} ${version}\n\n${text.trim()}\n`
  })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}
