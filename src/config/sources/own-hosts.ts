/** The first line of every hosts.toml that leads to ourselves. */
export const OWN_HOSTS_MARK =
  '# Written by `image-resolver containerd-hosts`, which may replace it. Take this line out to keep changes.'

/** Whether a hosts.toml leads to ourselves: read as mirrors, we would be asking ourselves. */
export function isOwnHosts(text: string): boolean {
  return text.startsWith(OWN_HOSTS_MARK)
}
