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
import { builtinModules, createRequire } from 'node:module'
import { join } from 'node:path'
import { type BuildOptions, build, type Plugin } from 'rolldown'

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

/** By whom; required at once, and used with options alone that are not ours: 5 to 10 ms of the start. */
const NEVER_USED = [
  ['fastify', 'node:http2'],
  ['pino', 'thread-stream'],
] as const

/**
 * What is loaded together is one file, as a file costs up to a millisecond of a start. Each takes what its modules
 * import and no file before it has, so the order says what is loaded without what: commands without the service, and
 * those that ask the runtime and the CRI socket without Fastify. Of src/, or a package; all else is split where it is
 * imported at need.
 */
const FILES: Readonly<Record<string, readonly string[]>> = {
  cli: ['cli/run'],
  core: [
    'service/core',
    'service/open',
    'config/sources/image-cri-shim',
    'host/unix-socket',
    'workloads/image-mention',
    'concurrency/in-turn',
  ],
  answers: ['cli/answer-text', 'cli/lines', 'cli/commands/resolve'],
  files: ['config/runtime-files', 'config/sources/hosts-dir'],
  runtime: [
    'runtime/runtime',
    'runtime/call',
    'runtime/attempts-trailer',
    'runtime/image-progress',
  ],
  registry: ['registry/client', 'credentials/keychain'],
  service: ['daemon', 'node_modules/pino/pino.js'],
  http: ['service/http-server'],
}

const REQUIRED = '\0required '
const BUILTIN = new RegExp(`^(?:node:)?(?:${builtinModules.join('|')})$`)

/**
 * Node's modules, as consts of what is used of them: a bundle needs no live bindings. `import … from 'node:http'`
 * reads each of the exports, getters too, and one of them loads undici in Node 22 and later: 13 MiB and 30 ms. Each
 * importer has its own consts, so that no file is loaded for those of another one.
 */
const builtins: Plugin = {
  name: 'builtins',
  resolveId(path, importer = '', { kind }) {
    if (!BUILTIN.test(path) || importer.startsWith('\0')) return null
    if (kind === 'import-statement') {
      return { id: `\0imported ${path} ${importer}`, moduleSideEffects: false }
    }
    return kind === 'require-call' ? REQUIRED + path : null
  },
  load(id) {
    const [kind, path = ''] = id.split(' ')
    const found = `process.getBuiltinModule(${JSON.stringify(path)})`
    if (id.startsWith(REQUIRED)) return `module.exports = ${found}`
    if (kind !== '\0imported') return null
    const names = Object.keys(process.getBuiltinModule(path) ?? {})
    const consts = names.map((name) => `export const ${name} = /* @__PURE__ */ of('${name}')`)
    return `const found = /* @__PURE__ */ ${found}
      const of = (name) => found[name]
      export default found
      ${consts.join('\n')}`
  },
}

const PROTO_LOADER = '@grpc/proto-loader'

/** Evaluated by the first call of it, 23 ms, since the CRI socket is opened without any. */
const atFirstCall: Plugin = {
  name: 'at-first-call',
  resolveId(path, _importer, { kind }) {
    return path === PROTO_LOADER && kind === 'import-statement' ? '\0at-first-call' : null
  },
  load(id) {
    if (id !== '\0at-first-call') return null
    const file = createRequire(import.meta.url).resolve(PROTO_LOADER)
    return `export const loadSync = (...given) => require(${JSON.stringify(file)}).loadSync(...given)`
  },
}

const neverLoaded: Plugin = {
  name: 'never-loaded',
  resolveId(path, importer) {
    if (NEVER_LOADED.includes(path)) return `\0never-loaded ${path}`
    const isUnused = NEVER_USED.some(
      ([by, used]) => used === path && importer?.includes(`/node_modules/${by}/`),
    )
    return isUnused ? '\0never-used' : null
  },
  load(id) {
    if (id === '\0never-used') return 'module.exports = {}'
    const [kind, path] = id.split(' ')
    if (kind !== '\0never-loaded') return null
    return `throw new Error(${JSON.stringify(`${path} is not in the bundle`)})`
  },
}

const FACADE = /^export\{([^}]*)\}from"\.\/([^"]+)";?\s*$/

/**
 * What is imported at need and stands in a file with others gets a file of its own that passes it on. It is imported from where
 * it stands instead: one file less for each.
 */
const direct: Plugin = {
  name: 'direct',
  generateBundle(_options, bundle) {
    const chunks = Object.values(bundle).filter((each) => each.type === 'chunk')
    for (const { code, fileName, isDynamicEntry } of chunks) {
      const [, names = '', target = ''] = FACADE.exec(code) ?? []
      // A name that means something else there has to be passed on.
      if (!isDynamicEntry || target === '' || names.includes(' as ')) continue
      delete bundle[fileName]
      for (const each of chunks) {
        if (each.imports.includes(fileName)) throw new Error(`${each.fileName} needs ${fileName}`)
        // As long as before, for the source map.
        const there = `import(\`./${target}\``.padEnd(`import(\`./${fileName}\``.length)
        each.code = each.code.replaceAll(`import(\`./${fileName}\``, there)
      }
    }
  },
}

process.chdir(ROOT)
rmSync('dist', { recursive: true, force: true })
await Promise.all([buildApp(), buildClient(), buildPage()])

async function buildApp(): Promise<void> {
  const { output } = await build({
    ...common('node20', {
      IMAGE_RESOLVER_COMMIT: JSON.stringify(commit()),
      IMAGE_RESOLVER_PACKAGE: JSON.stringify('../../package.json'),
      IMAGE_RESOLVER_VERSION: JSON.stringify(productVersion()),
    }),
    input: 'src/main.ts',
    platform: 'node',
    plugins: [neverLoaded, atFirstCall, builtins, direct],
    output: {
      dir: 'dist/app',
      // Names of functions and classes stay, so that a stack trace can be read without the source maps, which
      // Node takes 150 ms and 12 MiB to load (--enable-source-maps). Shorter names of all else, private methods among
      // them, are read faster.
      // V8 keeps a file with any other character at two bytes for each one.
      charset: 'ascii',
      minify: { compress: true, mangle: { keepNames: true, toplevel: false }, codegen: true },
      // Names that `direct` can import.
      minifyInternalExports: false,
      sourcemap: true,
      sourcemapExcludeSources: true,
      codeSplitting: {
        groups: Object.entries(FILES).map(([name, modules], index, { length }) => {
          const ids = modules.map(sourceFile)
          const test = (id: string) => ids.includes(id) || (index === 0 && id.startsWith(REQUIRED))
          return { name, test, priority: length - index }
        }),
      },
    },
  })
  const modules = output.flatMap((each) => (each.type === 'chunk' ? each.moduleIds : []))
  const gone = Object.values(FILES)
    .flat()
    .filter((module) => !modules.includes(sourceFile(module)))
  if (gone.length > 0) throw new Error(`scripts/build.ts names what is not there: ${gone}`)
  const packages = bundledPackages(modules)
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

function sourceFile(module: string): string {
  return join(ROOT, module.endsWith('.js') ? module : `src/${module}.ts`)
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
    input: 'src/client.ts',
    output: { file: 'dist/src/client.js' },
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
    input: join(PAGE, 'page.js'),
    output: { file: 'dist/page/page.js', minify: true },
  })
}

function common(target: string, define: Readonly<Record<string, string>> = {}) {
  // What is imported both ways is for those that import it at need alone.
  const checks = { ineffectiveDynamicImport: false }
  return { transform: { target, define }, checks, logLevel: 'warn' } satisfies BuildOptions
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
    (file) => /^[^\0].*\bnode_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(file)?.[0] ?? [],
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
