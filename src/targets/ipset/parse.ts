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

/** What the tool asks with in a session: once before each command, so the one before `quit` says that all before it is there. */
const PROMPT = 'ipset> '

/**
 * Reads what a session printed for `list -t` and `quit`.
 * @throws Error when it is cut off or not understood: that is never an absent set.
 */
export function parseHeaders(text: string): SetHeader[] {
  const body = text.startsWith(PROMPT) && text.endsWith(PROMPT) ? text.slice(PROMPT.length) : undefined
  if (body === undefined) throw new Error('reading the sets: the list is cut off')
  return body
    .slice(0, -PROMPT.length)
    .split(/\n\n+/)
    .filter((block) => block !== '')
    .map(parseHeader)
}

function parseHeader(block: string): SetHeader {
  const field = (name: string): string => {
    const value = new RegExp(`^${name}: (.+)$`, 'm').exec(block)?.[1]
    if (value === undefined)
      throw new Error(`reading the sets: no ${name} in ${JSON.stringify(block.slice(0, 200))}`)
    return value
  }
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
}

/**
 * Reads what a session printed for a number of `save` commands and `quit`; made for 100,000 elements. A set that was refused is absent.
 * @throws Error when it is cut off.
 */
export function parseElements(text: string, commands: number): Map<string, SavedElement[]> {
  const sets = new Map<string, SavedElement[]>()
  let current: SavedElement[] | undefined
  let currentName = ''
  let prompts = 0
  let start = 0
  while (start < text.length) {
    while (text.startsWith(PROMPT, start)) {
      prompts++
      start += PROMPT.length
    }
    let end = text.indexOf('\n', start)
    if (end === -1) end = text.length
    if (text.startsWith('create ', start)) {
      currentName = text.slice(start + 7, text.indexOf(' ', start + 7))
      sets.set(currentName, (current = []))
    } else if (current && text.startsWith(`add ${currentName} `, start)) {
      current.push(parseAdd(text.slice(start, end)))
    }
    start = end + 1
  }
  if (prompts !== commands + 1) throw new Error('reading the elements of sets: the answer is cut off')
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
