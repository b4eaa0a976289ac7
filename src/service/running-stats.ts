import type { StatsResponse } from '../../api/v1/stats.ts'
import { ResolveError, toResolveError } from '../errors.ts'
import { type ConfigPlace, readConfig } from './config-place.ts'
import { findService, fromService } from './running-service.ts'

/**
 * The numbers of the service that runs with this configuration.
 *
 * @throws ResolveError as findService, or with what the service has against it; ConfigError
 */
export async function readStats(place: ConfigPlace): Promise<StatsResponse> {
  const { http } = await readConfig(place)
  const service = await findService(http).catch((thrown: unknown) => {
    throw explained(toResolveError(thrown))
  })
  return fromService(service.stats())
}

function explained(error: ResolveError): ResolveError {
  const hint = 'only a running service counts; is it running, and is this its http.listen?'
  return new ResolveError(error.code, `${error.message}: ${hint}`, { cause: error })
}
