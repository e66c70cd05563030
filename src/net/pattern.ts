import type { Hostname } from './types.ts'

/** As an operator writes it. In lists of names it stands among them: what is asked below it shares one entry. */
export const patternOf = (suffix: Hostname, depth: 'one' | 'any'): Hostname =>
  `${depth === 'one' ? '*' : '**'}.${suffix}` as Hostname

export const isPattern = (name: Hostname): boolean => name.startsWith('*')
