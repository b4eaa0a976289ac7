import type { SessionOptions } from 'node:http2'

/**
 * Limits of every HTTP/2 session in the door, wide enough that the runtime's and the client's own
 * limits are met first. What one call can make us hold is bounded by its stream window.
 */
export const SESSION_OPTIONS: SessionOptions = {
  // In megabytes. Node counts what waits to be sent; a 16 MiB ListImages to a slow reader is usual.
  maxSessionMemory: 1024,
  // What holds before a client has acknowledged our SETTINGS, maxHeaderListSize among them.
  maxHeaderListPairs: 500,
  maxSendHeaderBlockLength: 128 * 1024,
  peerMaxConcurrentStreams: 4_096,
  settings: {
    enablePush: false,
    initialWindowSize: 1024 * 1024,
    maxConcurrentStreams: 4_096,
    // nghttp2 takes HEADERS and eight CONTINUATIONs of 16 KiB, not more.
    maxHeaderListSize: 128 * 1024,
  },
}
