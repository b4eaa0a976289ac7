/**
 * What a piece of work costs, ms of the processor: unlike what passes on the clock, that does not
 * grow where the machine is busy with something else.
 */
export function cpuMs(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1_000
}
