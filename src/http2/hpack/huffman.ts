/**
 * The Huffman code of header compression (RFC 7541, appendix B). The code is canonical: sorted by
 * length, then by symbol, each code is the one before plus one. So the lengths say it all.
 */
// biome-ignore format: sixteen symbols a row, as one would look them up
const CODE_LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, // 0x00
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, // 0x10
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, // 0x20
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, // 0x30
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, // 0x40
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, // 0x50
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, // 0x60
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, // 0x70
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, // 0x80
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, // 0x90
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, // 0xa0
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, // 0xb0
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, // 0xc0
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, // 0xd0
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, // 0xe0
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, // 0xf0
  30, // end of string
]
const END_OF_STRING = 256

/** Inner nodes of the code's tree: one less than the leaves. They are the states of the decoder. */
const STATES = 256
const ROOT = 0
/** The longest string decoded without memory of its own, in bytes. */
const SCRATCH_BYTES = 4_096

/** A step of the decoder: the state it leads to, the symbol it yields and these two flags. */
const SYMBOL_SHIFT = 8
const YIELDS_SHIFT = 16
const FAILS = 1 << 17

const TREE = codeTree()
/**
 * What four more bits do, by state and bits; 0: not computed yet. No code is shorter than five: one symbol at most. To
 * compute all of them at once has V8 optimise that: 5 MiB of its compiler, and 10 ms of each start.
 */
const STEPS = new Int32Array(STATES * 16)
const IS_PADDING = paddingStates()
const SCRATCH = Buffer.allocUnsafeSlow(SCRATCH_BYTES)

/** The two children of each node: above 0 an inner node, below 0 the leaf of symbol -1 - child. */
function codeTree(): Int16Array {
  const tree = new Int16Array(2 * STATES)
  const symbols = [...CODE_LENGTHS.keys()].sort((a, b) => lengthOf(a) - lengthOf(b))
  /** The nodes that lead to the code before, by depth: the next one differs in its last bits alone. */
  const path = [ROOT]
  let nodes = 1
  /** As 32 bits, the first of the code first. */
  let [before, code] = [0, 0]
  for (const symbol of symbols) {
    const length = lengthOf(symbol)
    let depth = symbol === symbols[0] ? 0 : Math.clz32(before ^ code)
    for (; depth < length - 1; depth += 1) {
      const child = childAt(path[depth] ?? ROOT, code, depth)
      if (tree[child] === 0) tree[child] = nodes++
      path[depth + 1] = tree[child] ?? ROOT
    }
    tree[childAt(path[depth] ?? ROOT, code, depth)] = -1 - symbol
    before = code
    code += 2 ** (32 - length)
  }
  return tree
}

function childAt(node: number, code: number, depth: number): number {
  return 2 * node + ((code >>> (31 - depth)) & 1)
}

function lengthOf(symbol: number): number {
  return CODE_LENGTHS[symbol] ?? 0
}

function remember(at: number): number {
  const step = decoderStep(at >> 4, at & 15)
  STEPS[at] = step
  return step
}

function decoderStep(state: number, bits: number): number {
  let node = state
  let yielded = 0
  for (let bit = 3; bit >= 0; bit -= 1) {
    node = TREE[2 * node + ((bits >> bit) & 1)] ?? 0
    if (node >= 0) continue
    const symbol = -1 - node
    if (symbol === END_OF_STRING) return FAILS
    yielded = (1 << YIELDS_SHIFT) | (symbol << SYMBOL_SHIFT)
    node = ROOT
  }
  return yielded | node
}

/** Padding is the beginning of the end-of-string symbol, all ones, and shorter than a byte. */
function paddingStates(): Uint8Array {
  const states = new Uint8Array(STATES)
  let node = ROOT
  for (let ones = 0; ones < 8; ones += 1) {
    states[node] = 1
    node = TREE[2 * node + 1] ?? 0
  }
  return states
}

/**
 * Decodes the Huffman-coded string between two offsets, to bytes as latin1. Answers undefined where
 * RFC 7541, section 5.2 calls for an error: an end-of-string symbol inside, padding of a byte or
 * more, padding that is not all ones.
 */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string | undefined {
  const mostBytes = Math.floor(((end - start) * 8) / 5)
  const decoded = mostBytes < SCRATCH_BYTES ? SCRATCH : Buffer.allocUnsafe(mostBytes + 1)
  let length = 0
  let step = ROOT
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0
    for (let shift = 4; shift >= 0; shift -= 4) {
      const next = ((step & 0xff) << 4) | ((byte >> shift) & 15)
      step = STEPS[next] || remember(next)
      if ((step & FAILS) !== 0) return undefined
      decoded[length] = step >> SYMBOL_SHIFT
      length += (step >> YIELDS_SHIFT) & 1
    }
  }
  return IS_PADDING[step & 0xff] === 1 ? decoded.toString('latin1', 0, length) : undefined
}
