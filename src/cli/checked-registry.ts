import type { RegistryStatus } from '../../api/v1/registries.ts'

/** A registry as it answered now, and as the running service knows it. */
export interface CheckedRegistry extends Omit<RegistryStatus, 'healthy'> {
  /** It answered now; null: it was not asked, so nobody knows. */
  readonly healthy: boolean | null
  /** When it was asked; null: it was not. */
  readonly checkedAt: string | null
  /** `new`: never asked by it; `absent`: not known to it; undefined: there is no service. */
  readonly service?: 'used' | 'new' | 'absent'
}

/**
 * @param measured what each registry of the file said now, in the order of asking
 * @param seen what the service has of each, which may run with an older file; undefined: there is none
 * @returns those of the file first, then those that only the service knows
 */
export function joined(
  measured: readonly RegistryStatus[],
  seen: readonly RegistryStatus[] | undefined,
): readonly CheckedRegistry[] {
  const byName = new Map(seen?.map((status) => [status.name, status]))
  const names = new Set(measured.map(({ name }) => name))
  const unmeasured = (seen ?? []).filter(({ name }) => !names.has(name))
  return [
    ...measured.map((status) => {
      const known = byName.get(status.name)
      if (seen === undefined) return measuredNow(status)
      if (known === undefined) return { ...measuredNow(status), service: 'absent' as const }
      return { ...both(measuredNow(status), known), service: useOf(known) }
    }),
    ...unmeasured.map((status) => ({
      ...status,
      healthy: null,
      latencyMs: null,
      checkedAt: null,
      service: useOf(status),
    })),
  ]
}

function measuredNow(status: RegistryStatus): CheckedRegistry {
  const { healthy, lastFailureAt, lastSuccessAt, latencyMs } = status
  return {
    ...status,
    latencyMs: healthy ? latencyMs : null,
    checkedAt: healthy ? lastSuccessAt : lastFailureAt,
  }
}

/** The service knows what was before, and whether it will ask; how it is now, only who asked now. */
function both(now: CheckedRegistry, known: RegistryStatus): CheckedRegistry {
  const { healthy, latencyMs, checkedAt, lastError = known.lastError } = now
  return {
    ...known,
    healthy,
    latencyMs,
    checkedAt,
    lastSuccessAt: now.lastSuccessAt ?? known.lastSuccessAt,
    lastFailureAt: now.lastFailureAt ?? known.lastFailureAt,
    ...(lastError !== undefined && { lastError }),
  }
}

function useOf({ lastSuccessAt, lastFailureAt }: RegistryStatus): 'used' | 'new' {
  return lastSuccessAt === null && lastFailureAt === null ? 'new' : 'used'
}
