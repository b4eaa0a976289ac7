import type { Cell } from './report.ts'

/** Three digits that count, without an exponent: 12 345, 99.5, 0.0213. */
export function digits(value: number): string {
  if (!Number.isFinite(value)) return '-'
  const size = Math.abs(value)
  if (size >= 100) return grouped(Math.round(value))
  if (size >= 10) return trimmed(value.toFixed(1))
  if (size >= 1) return trimmed(value.toFixed(2))
  return size === 0 ? '0' : trimmed(value.toPrecision(2))
}

/** A cell's text; of rounds the median, and what the others gave. */
export function cellText(cell: Cell): string {
  if (typeof cell === 'string') return cell
  if (typeof cell === 'number') return digits(cell)
  const { median, min, max } = cell
  if (min === max) return digits(median)
  return `${digits(median)} (${digits(min)} to ${digits(max)})`
}

function trimmed(text: string): string {
  return text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text
}

function grouped(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ',')
}
