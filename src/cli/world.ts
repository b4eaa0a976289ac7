import type { Readable, Writable } from 'node:stream'
import type { Answer } from '../resolver/answer.ts'
import type { NodeImage } from '../runtime/types.ts'

export interface FileOption {
  /** As given on the command line; undefined: where the service looks. */
  readonly file: string | undefined
}

/** What the commands need of the rest of the program. */
export interface World {
  readonly stdin: Readable
  readonly stdout: Writable
  readonly stderr: Writable
  /** Runs the service until it is told to end; answers with the exit code. */
  serve(options: FileOption): Promise<number>
  /** A resolver of its own, from the same configuration as the service's. */
  answers(options: FileOption): Promise<AnswerSource>
  /** The images of the node, through the running service. */
  node(options: FileOption): Promise<ImagesOnNode>
}

export interface ImagesOnNode {
  pull(image: string): Promise<string>
  images(): Promise<readonly NodeImage[]>
  remove(image: string): Promise<void>
  close(): void
}

export interface AnswerSource {
  answer(
    input: string,
    options: { readonly platform?: string; readonly node?: boolean },
  ): Promise<Answer>
  close(): Promise<void>
}
