import type { Rule } from './model.ts'

type Draft = Pick<Rule, 'key' | 'action' | 'words'> & Partial<Pick<Rule, 'policy' | 'matches' | 'target'>>

/** Fills in what most rules leave out; the key is made safe for a kernel comment. */
export function rule(draft: Draft): Rule {
  return {
    policy: 'host',
    matches: [],
    target: undefined,
    ...draft,
    key: draft.key
      .toLowerCase()
      .replaceAll(/[^a-z0-9.:/_-]/g, '_')
      .slice(0, 80),
    words: words(draft.words),
  }
}

/** What may stand in a kernel comment: no quotes, no brackets (they hold our fingerprint), at most 150 characters. */
export const words = (text: string): string => text.replaceAll(/[^A-Za-z0-9 ,.:/()*=_-]/g, '_').slice(0, 150)
