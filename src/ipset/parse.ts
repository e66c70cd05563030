/** What the kernel says of a set without its elements. */
export interface SetHeader {
  readonly name: string
  readonly type: string
  readonly family: 4 | 6 | undefined
  readonly maxelem: number
  readonly hasTimeout: boolean
  readonly hasCounters: boolean
  readonly hasComment: boolean
  /** Rules and lists that name it: the kernel refuses to destroy it while there are any. */
  readonly references: number
  readonly entries: number
}

export interface SavedElement {
  readonly element: string
  /** Seconds left, rounded down; 0 stands for ever. */
  readonly timeoutSeconds: number
  readonly packets: number
  readonly bytes: number
  readonly comment: string
}

/** Reads `ipset list -t`. */
export function parseHeaders(text: string): SetHeader[] {
  return text
    .split(/\n\n+/)
    .filter((block) => block.includes('Name: '))
    .map((block) => {
      const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1] ?? ''
      const header = ` ${field('Header')} `
      return {
        name: field('Name'),
        type: field('Type'),
        family: header.includes(' family inet6 ') ? 6 : header.includes(' family inet ') ? 4 : undefined,
        maxelem: Number(/ maxelem (\d+) /.exec(header)?.[1] ?? 0),
        hasTimeout: / timeout \d+ /.test(header),
        hasCounters: header.includes(' counters '),
        hasComment: header.includes(' comment '),
        references: Number(field('References')),
        entries: Number(field('Number of entries')),
      }
    })
}

/** Reads what `save` printed for one set or several, prompts included; made for 100,000 elements. */
export function parseElements(text: string): Map<string, SavedElement[]> {
  const sets = new Map<string, SavedElement[]>()
  let current: SavedElement[] | undefined
  let currentName = ''
  let start = 0
  while (start < text.length) {
    let end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    if (text.startsWith('ipset> ', start)) start += 7
    if (text.startsWith('create ', start)) {
      currentName = text.slice(start + 7, text.indexOf(' ', start + 7))
      sets.set(currentName, (current = []))
    } else if (current && text.startsWith(`add ${currentName} `, start)) {
      current.push(parseAdd(text.slice(start, end)))
    }
    start = end + 1
  }
  return sets
}

function parseAdd(line: string): SavedElement {
  const quote = line.indexOf(' comment "')
  const comment = quote === -1 ? '' : line.slice(quote + 10, line.lastIndexOf('"'))
  const words = (quote === -1 ? line : line.slice(0, quote)).split(' ')
  let timeoutSeconds = 0
  let packets = 0
  let bytes = 0
  for (let index = 3; index < words.length; index += 2) {
    const value = Number(words[index + 1])
    if (words[index] === 'timeout') timeoutSeconds = value
    else if (words[index] === 'packets') packets = value
    else if (words[index] === 'bytes') bytes = value
  }
  return { element: words[2] ?? '', timeoutSeconds, packets, bytes, comment }
}
