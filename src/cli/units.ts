import { formatDuration } from '../config/duration.ts'

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${BYTE_UNITS[unit]}`
}

export const formatCount = (count: number): string => count.toLocaleString('en-US')

/** The two largest units, for people: `2d3h`, `4m10s`, `0s`. */
export function formatSpan(ms: number): string {
  const parts = formatDuration(Math.max(0, ms)).match(/\d+[dhms]/g) ?? ['0s']
  return parts.slice(0, 2).join('')
}

export const formatAgo = (thenMs: number, nowMs: number): string => `${formatSpan(nowMs - thenMs)} ago`
