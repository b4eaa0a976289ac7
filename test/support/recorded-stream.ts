import type { HeaderList } from '../../src/http2/headers.ts'
import type { Stream, StreamEnd, StreamHandler } from '../../src/http2/stream.ts'

/** Writes down what a stream is told. Takes bodies at once, unless `keeps` says not to. */
export class RecordedStream implements StreamHandler {
  readonly heard: HeaderList[] = []
  readonly chunks: Buffer[] = []
  /** One, when all is well. */
  readonly ends: StreamEnd[] = []
  readonly ended: Promise<StreamEnd>
  readonly #keeps: boolean
  /** How often the peer said that this was all. */
  lastWords = 0
  drains = 0
  bytes = 0
  stream: Stream | undefined
  onHeard: () => void = () => {}
  #resolve: (end: StreamEnd) => void = () => {}

  constructor({ keeps = false }: { readonly keeps?: boolean } = {}) {
    this.#keeps = keeps
    this.ended = new Promise((resolve) => {
      this.#resolve = resolve
    })
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks)
  }

  onHeaders(list: HeaderList, isEnd: boolean): void {
    this.heard.push(list)
    this.#heard(isEnd)
  }

  onData(bytes: Buffer, isEnd: boolean): void {
    this.chunks.push(bytes)
    this.bytes += bytes.length
    if (!this.#keeps) this.stream?.consumed(bytes.length)
    this.#heard(isEnd)
  }

  onDrain(): void {
    this.drains += 1
  }

  onEnd(end: StreamEnd): void {
    this.ends.push(end)
    this.#resolve(end)
  }

  #heard(isEnd: boolean): void {
    if (isEnd) this.lastWords += 1
    this.onHeard()
  }
}
