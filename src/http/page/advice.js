const OTHER_VERSION = 'This page is of another version than the service: load it again.'

/** What went wrong, in words, by error code. */
export const headlines = {
  NAME_INVALID: 'This is no reference',
  PLATFORM_INVALID: 'This is no platform',
  MANIFEST_UNKNOWN: 'No registry has it',
  PLATFORM_UNKNOWN: 'It is not there for this platform',
  UNAUTHORIZED: 'The registry wants credentials',
  DENIED: 'It is refused',
  TOOMANYREQUESTS: 'Asked too often',
  UNSUPPORTED: 'It is nothing that can run',
  NOT_AN_IMAGE: 'It is no image',
  DIGEST_INVALID: 'The bytes do not fit the digest',
  MANIFEST_INVALID: 'The manifest cannot be read',
  UNAVAILABLE: 'It could not be found out',
  DEADLINE_EXCEEDED: 'It took too long',
  CANCELED: 'The question was called off',
  CONFIG_INVALID: 'The configuration has a mistake',
  UNKNOWN: 'The service failed',
  REQUEST_INVALID: 'The request is wrong',
  ROUTE_UNKNOWN: 'The service does not know this',
  METHOD_UNSUPPORTED: 'The service does not know this',
  NO_ANSWER: 'The service does not answer',
}

/** What to do, by error code. */
export const advice = {
  NAME_INVALID: 'Correct the reference: [domain/]path[:tag][@digest].',
  PLATFORM_INVALID: 'Write it as os/architecture[/variant], for example linux/arm64.',
  MANIFEST_UNKNOWN: 'Look for a misspelling; below are the registries that were asked.',
  PLATFORM_UNKNOWN: 'Ask for another platform, or have the image built for this one.',
  UNAUTHORIZED: 'Give the registry its credentials in the configuration.',
  DENIED: 'Have the right granted there; a registry on a private address has to be configured.',
  TOOMANYREQUESTS: 'Wait a while; credentials of the registry usually raise its limit.',
  UNSUPPORTED: 'Ask for another reference: this one leads to something that cannot run.',
  NOT_AN_IMAGE: 'Use a tool for artifacts.',
  DIGEST_INVALID: 'Look at the registry, or a proxy before it: it sends other bytes than it says.',
  MANIFEST_INVALID: 'Look at the registry, and push the image anew.',
  UNAVAILABLE: 'Try again; below is what failed, and how.',
  DEADLINE_EXCEEDED: 'Try again; below is what was slow.',
  CANCELED: 'Ask again.',
  CONFIG_INVALID: 'Run image-resolver config check on the machine of the service.',
  UNKNOWN: 'Read the log of the service, which has the details.',
  REQUEST_INVALID: 'Correct the request; the message names the place.',
  ROUTE_UNKNOWN: OTHER_VERSION,
  METHOD_UNSUPPORTED: OTHER_VERSION,
  /** The page's own: no answer came. */
  NO_ANSWER: 'See whether the service runs: systemctl status image-resolver.',
}
