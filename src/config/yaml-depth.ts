import { CST, Parser } from 'yaml'

/**
 * Where a text nests deeper than `most`; undefined: nowhere. It has to be asked before a document is made of the text: that is done by functions
 * that call themselves, and where the stack ends in the midst of a regular expression the whole process ends with it.
 */
export function deeperThan(most: number, text: string): number | undefined {
  const left: { readonly token: CST.Token; readonly depth: number }[] = []
  for (const token of new Parser().parse(text)) {
    left.push({ token, depth: 0 })
    for (let one = left.pop(); one !== undefined; one = left.pop()) {
      if (one.depth > most) return one.token.offset
      for (const inner of childrenOf(one.token)) left.push({ token: inner, depth: one.depth + 1 })
    }
  }
  return undefined
}

function childrenOf(token: CST.Token): CST.Token[] {
  if (token.type === 'document') return token.value ? [token.value] : []
  if (!CST.isCollection(token)) return []
  return token.items.flatMap(({ key, value }) =>
    [key, value].filter((one) => one !== undefined && one !== null),
  )
}
