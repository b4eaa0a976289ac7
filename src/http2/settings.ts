import {
  ConnectionError,
  ERROR_CODE,
  MAX_INT31,
  MAX_PAYLOAD_BYTES,
  protocolError,
} from './frames.ts'

/** Names of RFC 9113, section 6.5.2. Other settings are ignored. */
export interface Settings {
  readonly enablePush?: number
  readonly maxConcurrentStreams?: number
  readonly initialWindowSize?: number
  readonly maxFrameSize?: number
  readonly maxHeaderListSize?: number
}

const ID: Readonly<Record<keyof Settings, number>> = {
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
}
const NAMES = new Map(Object.entries(ID).map(([name, id]) => [id, name as keyof Settings] as const))
const ENTRY_BYTES = 6
const MAX_FRAME_SIZE = 2 ** 24 - 1

/** The payload of a SETTINGS frame. */
export function writeSettings(settings: Settings): Buffer {
  const entries = Object.entries(settings) as [keyof Settings, number][]
  const payload = Buffer.alloc(entries.length * ENTRY_BYTES)
  entries.forEach(([name, value], index) => {
    payload.writeUInt16BE(ID[name], index * ENTRY_BYTES)
    payload.writeUInt32BE(value, index * ENTRY_BYTES + 2)
  })
  return payload
}

/**
 * The last value wins where a setting occurs twice.
 *
 * @throws ConnectionError FRAME_SIZE_ERROR; for invalid values the code of section 6.5.2
 */
export function readSettings(payload: Buffer): Settings {
  if (payload.length % ENTRY_BYTES !== 0) {
    throw new ConnectionError(ERROR_CODE.frameSizeError, `SETTINGS of ${payload.length} bytes`)
  }
  const settings: Partial<Record<keyof Settings, number>> = {}
  for (let offset = 0; offset < payload.length; offset += ENTRY_BYTES) {
    const name = NAMES.get(payload.readUInt16BE(offset))
    if (name !== undefined) settings[name] = payload.readUInt32BE(offset + 2)
  }
  const { enablePush = 0, initialWindowSize = 0, maxFrameSize = MAX_PAYLOAD_BYTES } = settings
  if (initialWindowSize > MAX_INT31) {
    const message = `an initial window of ${initialWindowSize} bytes`
    throw new ConnectionError(ERROR_CODE.flowControlError, message)
  }
  if (enablePush > 1 || maxFrameSize < MAX_PAYLOAD_BYTES || maxFrameSize > MAX_FRAME_SIZE) {
    throw protocolError('SETTINGS with an invalid value')
  }
  return settings
}
