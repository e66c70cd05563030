import type { Hostname } from './types.ts'

/** As an operator writes it. In lists of names it stands among them: what is asked below it shares one entry. */
export const patternOf = (suffix: Hostname, depth: 'one' | 'any'): Hostname =>
  `${depth === 'one' ? '*' : '**'}.${suffix}` as Hostname

export const isPattern = (name: Hostname): boolean => name.startsWith('*')

/** What a pattern stands above, and how deep; undefined for an ordinary name. */
export function splitPattern(
  name: string,
): { readonly suffix: string; readonly depth: 'one' | 'any' } | undefined {
  if (name.startsWith('**.')) return { suffix: name.slice(3), depth: 'any' }
  return name.startsWith('*.') ? { suffix: name.slice(2), depth: 'one' } : undefined
}
