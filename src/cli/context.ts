import type { ConfigPlace } from '../config/load.ts'
import type { examine } from '../doctor/doctor.ts'
import type { NodeImages } from '../runtime/node-images.ts'
import type { OpenedResolver } from '../service/availability.ts'
import type {
  openNames,
  openRegistries,
  ResolverPlace,
  readFleet,
  readReadiness,
  readStats,
} from '../service/open.ts'
import type { LogFormat } from '../telemetry/log.ts'
import type { OutputStream, ProgressOptions } from './output.ts'

/** What the commands use of the rest of the program. */
export interface CliContext {
  readonly stdin: AsyncIterable<string | Uint8Array>
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  /** Variables such as NO_COLOR. */
  readonly environment: Readonly<Record<string, string | undefined>>
  /** As in ProgressOptions. */
  readonly every?: ProgressOptions['every']
  /** Runs the service until a signal ends it. @returns the exit code */
  serve(options: ConfigPlace & { readonly logFormat?: LogFormat }): Promise<number>
  /** A resolver of its own, from the same configuration as the service's. */
  resolver(place: ResolverPlace): Promise<OpenedResolver>
  /** The images of the node, through the running service. */
  node(place: ConfigPlace): Promise<ImagesOnNode>
  readonly names: typeof openNames
  readonly registries: typeof openRegistries
  readonly examine: typeof examine
  readonly readiness: typeof readReadiness
  readonly stats: typeof readStats
  readonly fleet: typeof readFleet
}

export type ImagesOnNode = Pick<
  NodeImages,
  'list' | 'named' | 'pull' | 'layers' | 'remove' | 'close'
>

/** The names of the node's images, and the registries as configured, in the order of asking. */
export type NodeNames = Awaited<ReturnType<typeof openNames>>
