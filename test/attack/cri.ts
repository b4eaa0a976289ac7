import type { Attack } from './attack.ts'

/** By the CRI socket. */
export const attacks: readonly Attack[] = []
