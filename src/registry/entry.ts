import type { Credentials } from './credentials.ts'
import type { Endpoint } from './endpoint.ts'

/** One configured registry. */
export interface RegistryEntry {
  /** `host[:port][/prefix]`, unique in a configuration; how logs and answers call it. */
  readonly name: string
  readonly endpoint: Endpoint
  /** 0 to 10000, higher is asked first. */
  readonly priority: number
  /** The one of `address:`; it wins ties. */
  readonly offline: boolean
  readonly credentials?: Credentials
  /**
   * Domains this entry serves. Absent: a private registry serves every domain that is not an
   * entry itself, a well-known public one only its own.
   */
  readonly upstreams?: readonly string[]
}
