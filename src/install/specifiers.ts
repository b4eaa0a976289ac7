/** Of systemd.unit(5), for the systemd of a system, where they are the same on each machine. */
const SPECIFIERS: Readonly<Record<string, string>> = {
  '%': '%',
  C: '/var/cache',
  E: '/etc',
  L: '/var/log',
  S: '/var/lib',
  T: '/tmp',
  U: '0',
  V: '/var/tmp',
  h: '/root',
  t: '/run',
  u: 'root',
}

/** With what specifiers stand for; one that is not known stays. */
export function specified<T extends { readonly text: string; readonly at: readonly number[] }>(
  word: T,
  unit: string,
): T {
  const prefix = unit.replace(/\.service$/, '')
  const known: typeof SPECIFIERS = { ...SPECIFIERS, N: prefix, n: unit, p: prefix }
  let [text, done]: [string, number] = ['', 0]
  const at: number[] = []
  for (const { 0: all, index } of word.text.matchAll(/%./gs)) {
    const put = known[all[1] ?? ''] ?? all
    text += word.text.slice(done, index) + put
    at.push(...word.at.slice(done, index), ...Array(put.length).fill(word.at[index] ?? -1))
    done = index + all.length
  }
  return {
    ...word,
    text: text + word.text.slice(done),
    at: [...at, ...word.at.slice(done)],
  }
}
