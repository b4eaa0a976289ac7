const MAX_KEY_LENGTH = 64

/** `registries` and 0 make `registries[0]`; `cache` and `tagTTL` make `cache.tagTTL`. */
export function joinPath(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  // A key can be any text, a page of it or a line break included; a message stays one line.
  const name = /^[\w.-]{1,64}$/.test(key) ? key : JSON.stringify(key.slice(0, MAX_KEY_LENGTH))
  return path === '' ? name : `${path}.${name}`
}
