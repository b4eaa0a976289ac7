import { readdir, readFile } from 'node:fs/promises'
import { extname } from 'node:path'

/** One file of the page, as it is sent. */
export interface PageAsset {
  readonly contentType: string
  readonly text: string
}

/** Other files beside them are none of the browser's business. */
const contentTypes: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** @returns the files of the page by name */
export async function readPageAssets(folder: URL): Promise<ReadonlyMap<string, PageAsset>> {
  const assets = new Map<string, PageAsset>()
  for (const name of await readdir(folder)) {
    const kind = extname(name)
    const contentType = contentTypes[kind]
    if (contentType === undefined) continue
    const text = await readFile(new URL(name, folder), 'utf8')
    assets.set(name, { contentType, text: lean(text, kind) })
  }
  return assets
}

/** A third of the sources is for those who read them: comments, indentation, ends of lines. */
function lean(text: string, kind: string): string {
  const lines = text
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/^\s*\/\/.*$/gm, '')
    .replace(/\s*\n\s*/g, '\n')
    .trim()
  if (kind === '.css') return lines.replace(/\s*([{},;])\s*/g, '$1')
  return kind === '.js' ? lines.replace(/([,;([{])\n|\n(?=[\])}])/g, '$1') : lines
}
