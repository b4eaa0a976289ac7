const KIB = 1024
const MIB = 1024 * KIB

/** Every bound of this folder: what one peer can make a connection hold or do. */
export const LIMITS = {
  /** Streams at once on a connection. A kubelet with 250 pods has some hundred; grpc-go waits for a place. */
  streams: 1_024,
  /** Bytes of one header list as RFC 9113, 10.5.1 counts them; advertised. Metadata of 50 KB occurs. */
  headerListBytes: 128 * KIB,
  /** Bytes of one header block on the wire: a list of the largest size, badly compressed. */
  headerBlockBytes: 256 * KIB,
  /** Frames of one header block: the largest takes 16. Empty ones cost time and no bytes. */
  headerBlockFrames: 64,
  /** Bytes that a peer may send on one stream ahead of their consumption. */
  streamWindowBytes: 256 * KIB,
  /**
   * The same for all streams of a connection, by its role. Requests to a runtime have a few KiB; of
   * answers four full streams, so that lists that are read slowly hold up no others.
   */
  connectionWindowBytes: { server: 512 * KIB, client: MIB },
  /** A chunk of so many bytes, which is all that libuv reads at once, is the last one of a client in its turn. */
  chunkBytes: 64 * KIB,
  /** Bytes of header lists and streams that one connection may have under way; then REFUSED_STREAM. */
  callBytes: 8 * MIB,
  /** Bytes that a stream is counted with beside its headers: its objects on both hops, measured. */
  streamCostBytes: 4 * KIB,
  /** Bytes queued for one peer. A list of 16 MiB, gRPC's largest for a kubelet, may be among them. */
  queuedBytes: 24 * MIB,
  /** Bytes queued for all peers. Above it each peer has an equal share, so that twice as much is the most. */
  queuedBytesInAll: 24 * MIB,
  /** Unsent bytes of a connection above which bodies and headers wait in their streams. */
  unsentBytes: 256 * KIB,
  /** Unsent bytes above which the connection ends: acknowledgements that the peer does not read. */
  unreadBytes: MIB,
  /**
   * Frames of a client that bring no call forward: resets, PING, SETTINGS, PRIORITY, WINDOW_UPDATE,
   * CONTINUATION, DATA that is empty or for a stream that has ended, and streams that we reset for their mistakes (CVE-2023-44487,
   * CVE-2025-8671, CVE-2019-9512, 9515, 9518). All streams of a connection can be cancelled twice in a breath.
   */
  idleFrames: 2_048,
  /** So many of them are given back each second: an idle client that cancels and probes. */
  idleFramesPerSecond: 200,
  /** And for each frame of an answer: grpc-go sends a PING and two WINDOW_UPDATEs for one. */
  idleFramesPerAnswer: 4,
  /** Streams that we have reset and whose peer may not know: what still comes of them is passed over. */
  rememberedResets: 1_024,
  /** Milliseconds for the last frames to be taken off us. */
  farewellMs: 500,
} as const
