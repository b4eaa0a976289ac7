/** One file of a layer. */
export interface TarFile {
  /** Relative, with `/`: `etc/os-release`. */
  readonly path: string
  readonly content: string | Buffer
  /** Default 0o644. */
  readonly mode?: number
}

const BLOCK_BYTES = 512

/** A ustar archive, the same bytes for the same input. Parent folders come before their files. */
export function tar(files: readonly TarFile[]): Buffer {
  const folders = new Set(files.flatMap((file) => parents(file.path)))
  const blocks = [...folders].map((folder) => header(`${folder}/`, 0, 0o755, '5'))
  for (const file of files) {
    const content = Buffer.from(file.content)
    blocks.push(header(file.path, content.length, file.mode ?? 0o644, '0'), pad(content))
  }
  return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK_BYTES)])
}

function parents(path: string): string[] {
  const parts = path.split('/').slice(0, -1)
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

function pad(content: Buffer): Buffer {
  const rest = content.length % BLOCK_BYTES
  return rest === 0 ? content : Buffer.concat([content, Buffer.alloc(BLOCK_BYTES - rest)])
}

function header(name: string, size: number, mode: number, type: '0' | '5'): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES)
  block.write(name, 0, 100)
  block.write(octal(mode, 8), 100)
  block.write(octal(0, 8), 108)
  block.write(octal(0, 8), 116)
  block.write(octal(size, 12), 124)
  block.write(octal(0, 12), 136)
  // The checksum is counted with its own field full of spaces.
  block.write('        ', 148)
  block.write(type, 156)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${octal(sum, 7)} `, 148)
  return block
}

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}
