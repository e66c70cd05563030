import { isObject, textsOf, type JsonObject } from '../json.ts'

/** The engine's config file with other name servers in it. */
export interface DaemonJsonChange {
  readonly text: string
  /** The servers that it named before; empty: it had no such key. */
  readonly before: readonly string[]
}

/**
 * Writes these servers into the engine's config. Every other byte stays: only the value is replaced, or a member is added behind the last one.
 * @param text undefined: there is no file
 * @throws Error when the text is not one JSON object, or holds something in `dns` that is no list of servers
 */
export function withDns(text: string | undefined, servers: readonly string[]): DaemonJsonChange {
  const list = `[${servers.map((server) => JSON.stringify(server)).join(', ')}]`
  // An empty file is no JSON, but the engine accepts it.
  if (text === undefined || text.trim() === '') return { text: `{\n  "dns": ${list}\n}\n`, before: [] }
  const object = objectIn(text)
  const before = textsOf(object['dns'])
  const isList = Array.isArray(object['dns']) && before.length === object['dns'].length
  if (object['dns'] !== undefined && !isList) throw new Error('"dns" is not a list of servers')
  if (before.length > 0 && before.join() === servers.join()) return { text, before }

  const members = membersOf(text)
  const [named, again] = members.filter(({ key }) => key === 'dns')
  if (again) throw new Error('"dns" stands there twice')
  if (named) return { text: text.slice(0, named.valueStart) + list + text.slice(named.end), before }
  const [first, last] = [members[0], members.at(-1)]
  if (!first || !last) {
    const open = text.indexOf('{')
    return {
      text: `${text.slice(0, open)}{\n  "dns": ${list}\n}${text.slice(text.indexOf('}') + 1)}`,
      before,
    }
  }
  // Indented as the first member is: on a line of its own or not.
  const lead = text.slice(text.indexOf('{') + 1, first.start)
  const colon = text.slice(first.keyEnd, first.valueStart)
  const gap = lead === '' && colon !== ':' ? ' ' : lead
  return { text: `${text.slice(0, last.end)},${gap}"dns"${colon}${list}${text.slice(last.end)}`, before }
}

/** The servers that the engine's config file names to it. Throws when it is not one JSON object. */
export const dnsOfDaemonJson = (text: string | undefined): string[] =>
  textsOf(settingsOfDaemonJson(text)['dns'])

/** All that the engine's config file says. Throws when it is not one JSON object. */
export const settingsOfDaemonJson = (text: string | undefined): JsonObject =>
  text === undefined || text.trim() === '' ? {} : objectIn(text)

function objectIn(text: string): JsonObject {
  const json: unknown = JSON.parse(text)
  if (!isObject(json)) throw new Error('not an object')
  return json
}

/** A member of the outermost object, by its places in the text. */
interface Member {
  readonly key: string
  readonly start: number
  readonly keyEnd: number
  readonly valueStart: number
  /** The place behind the value. */
  readonly end: number
}

const STRING = /"(?:[^"\\]|\\.)*"/y
const SPACE = /[ \t\r\n]*/y
const NUMBER_OR_WORD = /[^\s,\]}]+/y

/** The members of a text that is known to be a JSON object. */
function membersOf(text: string): Member[] {
  const behind = (pattern: RegExp, at: number): number => {
    pattern.lastIndex = at
    return pattern.test(text) ? pattern.lastIndex : at
  }
  const behindValue = (start: number): number => {
    let depth = 0
    for (let at = start; ;) {
      const character = text[at]
      if (character === '"') at = behind(STRING, at)
      else if (character === '{' || character === '[' || character === '}' || character === ']') {
        depth += character === '{' || character === '[' ? 1 : -1
        at += 1
      } else if (depth > 0) at += 1
      else return behind(NUMBER_OR_WORD, at)
      if (depth === 0) return at
    }
  }
  const members: Member[] = []
  let at = behind(SPACE, text.indexOf('{') + 1)
  while (text[at] === '"') {
    const keyEnd = behind(STRING, at)
    const key = String(JSON.parse(text.slice(at, keyEnd)))
    const valueStart = behind(SPACE, text.indexOf(':', keyEnd) + 1)
    const end = behindValue(valueStart)
    members.push({ key, start: at, keyEnd, valueStart, end })
    const next = behind(SPACE, end)
    at = text[next] === ',' ? behind(SPACE, next + 1) : next
  }
  return members
}
