import type { Readable } from 'node:stream'
import type {
  RegistriesResponse,
  RepositoriesResponse,
  TagsResponse,
} from '../../api/v1/registries.ts'
import type { StatsResponse } from '../../api/v1/stats.ts'
import type { HttpConfig } from '../config/config.ts'
import type { Examination, ExamineOptions } from '../doctor/doctor.ts'
import type { Readiness } from '../install/install.ts'
import type { Reference } from '../reference/reference.ts'
import type { RegistryEntry } from '../registry/entry.ts'
import type { AnswerOptions } from '../resolver/answers.ts'
import type { ImagePlace, PlacesOptions } from '../resolver/availability.ts'
import type { Answer } from '../resolver/types.ts'
import type { NodeImages } from '../runtime/node-images.ts'
import type { NodeNames as RuntimeNames } from '../runtime/node-names.ts'
import type { LogFormat } from '../telemetry/log.ts'
import type { OutputStream, ProgressOptions } from './output.ts'

export interface FileOption {
  /** As given on the command line; undefined: where the service looks. */
  readonly file: string | undefined
  /** A portoshim.yaml, read instead of the one that the configuration names. */
  readonly portoshim?: string
  /** A service elsewhere that is asked instead of the registries, and the file with its token. */
  readonly server?: string
  readonly tokenFile?: string
}

/** What the commands use of the rest of the program. */
export interface CliContext {
  readonly stdin: Readable
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Variables such as NO_COLOR. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** As in ProgressOptions. */
  readonly every?: ProgressOptions['every']
  /** Runs the service until a signal ends it. @returns the exit code */
  serve(options: FileOption & { readonly logFormat?: LogFormat }): Promise<number>
  /** A resolver of its own, from the same configuration as the service's. */
  answers(options: FileOption): Promise<AnswerSource>
  /** Where images are, asked of the registries from here. */
  availability(options: FileOption): Promise<AvailabilitySource>
  /** The images of the node, through the running service. */
  node(options: FileOption): Promise<ImagesOnNode>
  /** The names of the node's images, in the runtime itself. */
  names(options: FileOption): Promise<NodeNames>
  /** The configured registries, through the running service, or without one. */
  registries(options: FileOption & { readonly alone: boolean }): Promise<Registries>
  /** What stands in the way on this node. */
  examine(options: ExamineOptions): Promise<Examination>
  /** What the service says that listens there. @param root where the socket of another root is reached; '' for this one. Never rejects */
  readiness(http: HttpConfig, root: string): Promise<Readiness>
  /** What the running service has counted. */
  stats(options: FileOption): Promise<StatsResponse>
  /** The nodes that share a store, those that were seen last first. */
  fleet(options: FileOption): Promise<readonly FleetNode[]>
}

/** A node that told the shared store of itself in the last hour. */
export interface FleetNode {
  /** Host name. */
  readonly node: string
  readonly version: string
  /** Fingerprint of its registries: nodes with the same one were configured alike. */
  readonly configuration: string
  /** Milliseconds since then, by the clock of the store. */
  readonly ageMs: number
}

export interface Page {
  /** At most so many names, 1 to 1000. */
  readonly n: number
  /** Those behind this one. */
  readonly last?: string
}

/** The configured registries, as the HTTP API shows them. Every call throws ResolveError. */
export interface Registries {
  /** Why no running service is asked; undefined: one is, or none was to be. */
  readonly alone: string | undefined
  /** In the order of asking. Without a service each of them is asked for it, now. */
  statuses(): Promise<RegistriesResponse>
  /** In the order of asking. */
  names(): Promise<readonly string[]>
  repositories(name: string, page: Page): Promise<RepositoriesResponse>
  tags(name: string, repository: string, page: Page): Promise<TagsResponse>
  close(): Promise<void>
}

/** The names of the node's images, and the registries as configured, in the order of asking. */
export type NodeNames = RuntimeNames & { readonly registries: readonly RegistryEntry[] }

export type ImagesOnNode = Pick<
  NodeImages,
  'list' | 'named' | 'pull' | 'layers' | 'remove' | 'close'
>

export interface AnswerSource {
  /** How many references it should be asked for at a time. Default: what the command has for registries. */
  readonly atOnce?: number
  /** The registries that may have it, in the order of asking; none for what is no reference. */
  askedFor(input: string): readonly string[]
  answer(input: string, options: Pick<AnswerOptions, 'platform' | 'node' | 'all'>): Promise<Answer>
  /** When the image of that digest was built (RFC 3339); undefined: no registry says it, or none is asked. */
  created?(reference: Reference, digest: string): Promise<string | undefined>
  close(): Promise<void>
}

export interface AvailabilitySource {
  /** As in AnswerSource. */
  readonly atOnce?: number
  /** What every place says of it, by HEAD. Never rejects. */
  places(reference: Reference, options?: PlacesOptions): Promise<readonly ImagePlace[]>
  /** When the image of that digest was built (RFC 3339); undefined: no place says it. */
  created(reference: Reference, digest: string): Promise<string | undefined>
  /** What was sent so far, by method. */
  requests(): Readonly<Record<'HEAD' | 'GET' | 'POST', number>>
  close(): Promise<void>
}
