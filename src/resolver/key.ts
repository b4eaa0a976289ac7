/**
 * The cache's name for a question.
 *
 * @param generation of the configuration
 * @param reference normalised
 * @param platform `os/architecture[/variant]`
 * @param who fingerprint of the caller's credentials
 */
export function resolutionKey(
  generation: number,
  reference: string,
  platform: string,
  who: string,
): string {
  return `${generation} ${reference} ${platform} ${who}`
}
