/** How a process of TypeScript is started. */
export const TYPESCRIPT: readonly string[] = ['--import', 'tsx']
