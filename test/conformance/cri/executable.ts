/** Waits for signals, for ever: what a container of a test runs. Linux on amd64, as the images are. */
function waiting(): Buffer {
  // pause() over and over: mov eax, 34; syscall; jmp back
  const code = Buffer.from('b8220000000f05ebf7', 'hex')
  const header = Buffer.alloc(120)
  const bytes = BigInt(header.length + code.length)
  const base = 0x400000n
  header.write('7f454c46020101', 0, 'hex')
  header.writeUInt16LE(2, 16)
  header.writeUInt16LE(62, 18)
  header.writeUInt32LE(1, 20)
  header.writeBigUInt64LE(base + BigInt(header.length), 24)
  header.writeBigUInt64LE(64n, 32)
  header.writeUInt16LE(64, 52)
  header.writeUInt16LE(56, 54)
  header.writeUInt16LE(1, 56)
  // The one segment: the whole file, to be read and run.
  header.writeUInt32LE(1, 64)
  header.writeUInt32LE(5, 68)
  header.writeBigUInt64LE(base, 80)
  header.writeBigUInt64LE(base, 88)
  header.writeBigUInt64LE(bytes, 96)
  header.writeBigUInt64LE(bytes, 104)
  header.writeBigUInt64LE(4096n, 112)
  return Buffer.concat([header, code])
}

/** For buildImage(): an image that can be run. */
export const RUN = {
  files: [{ path: 'wait', content: waiting(), mode: 0o755 }],
  config: { Cmd: ['/wait'] },
} as const
