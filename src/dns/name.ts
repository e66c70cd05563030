import type { Hostname } from '../net/types.ts'

/**
 * A name in wire form: each label behind its length byte, the root at the end, as latin1. A dot inside a label cannot pass for two labels there.
 * @throws RangeError for a name that has none (a label of 0 or over 63 bytes, over 253 characters in all)
 */
export function wireName(name: Hostname): string {
  if (name.length > 253) throw new RangeError('a name of more than 253 characters cannot be asked for')
  let wire = ''
  for (const label of name.toLowerCase().split('.')) {
    if (!/^[a-z0-9_-]{1,63}$/.test(label))
      throw new RangeError('a name with such a label cannot be asked for')
    wire += String.fromCharCode(label.length) + label
  }
  return `${wire}\0`
}

const ORDINARY_LABEL = /^[a-z0-9_-]+$/

/**
 * `www.example.com` for a name in wire form; undefined for the root, and for names with other labels than letters, digits, `-` and `_`: a dot in
 * a label would pass for two labels.
 */
export function dotted(wire: string): string | undefined {
  const labels: string[] = []
  for (let at = 0; at < wire.length - 1;) {
    const length = wire.charCodeAt(at)
    const label = wire.slice(at + 1, at + 1 + length)
    if (!ORDINARY_LABEL.test(label)) return undefined
    labels.push(label)
    at += 1 + length
  }
  return labels.length > 0 ? labels.join('.') : undefined
}
