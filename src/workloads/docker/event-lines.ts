import { StringDecoder } from 'node:string_decoder'
import { isObject, objectOf, textOf } from '../json.ts'

/** An event of the engine, reduced to what decides what is read again. */
export interface DockerEvent {
  readonly type: string
  /** Without what some actions carry after a colon (`exec_start: sh -c …`, `health_status: healthy`). */
  readonly action: string
  readonly id: string
  /** For `network connect` and `disconnect`: the container. */
  readonly container: string | undefined
  /** For `rename`: the name that the container has now. */
  readonly name: string | undefined
}

/** A longer line is not read to its end, so that a stream without line ends cannot fill the memory. Labels of an image can make a line that long. */
const MAX_LINE_LENGTH = 1024 * 1024
/** Type, action and id stand at the beginning of a line, ahead of all labels. */
const HEAD_LENGTH = 4096

/**
 * The raw event stream, cut wherever the socket cut it, → events. Lines that cannot be read are counted, since the engine has to be listed again
 * after one. A line that is too long still gives an event, from its beginning.
 */
export class EventLines {
  readonly #decoder = new StringDecoder('utf8')
  /** The line that has not ended, in the pieces in which it came. Joining them with each new piece would take quadratic time. */
  #pieces: string[] = []
  #length = 0
  #skipsLine = false
  #malformed = 0

  /** Lines so far that were no event, or were not read to their end. */
  get malformed(): number {
    return this.#malformed
  }

  push(chunk: Buffer | string): DockerEvent[] {
    const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
    const lines = text.split('\n')
    const rest = lines.pop() ?? ''
    if (lines.length > 0) {
      lines[0] = this.#pieces.join('') + (lines[0] ?? '')
      this.#forget()
    }
    this.#pieces.push(rest)
    this.#length += rest.length
    if (this.#skipsLine && lines.length > 0) {
      // The end of the line whose beginning was read already.
      lines.shift()
      this.#skipsLine = false
    }
    const events = lines.filter((line) => line.trim() !== '').flatMap((line) => this.#parse(line) ?? [])
    return [...events, ...this.#cutTooLong()]
  }

  #cutTooLong(): DockerEvent[] {
    if (this.#skipsLine) this.#forget()
    if (this.#length <= MAX_LINE_LENGTH) return []
    const event = parseHead(this.#pieces.join('').slice(0, HEAD_LENGTH))
    this.#forget()
    this.#skipsLine = true
    this.#malformed += 1
    return event ? [event] : []
  }

  #forget(): void {
    this.#pieces = []
    this.#length = 0
  }

  #parse(line: string): DockerEvent | undefined {
    const event = parseEvent(line)
    if (event === undefined) this.#malformed += 1
    return event
  }
}

const parseEvent = (line: string): DockerEvent | undefined => {
  let json: unknown
  try {
    json = JSON.parse(line)
  } catch {
    return undefined
  }
  if (!isObject(json)) return undefined
  const actor = objectOf(json['Actor'])
  const type = textOf(json['Type'])
  const action = textOf(json['Action']).split(':')[0] ?? ''
  if (type === '' || action === '') return undefined
  return {
    type,
    action,
    id: textOf(actor['ID']) || textOf(json['id']),
    container: textOf(objectOf(actor['Attributes'])['container']) || undefined,
    name:
      (action === 'rename' && textOf(objectOf(actor['Attributes'])['name']).replace(/^\//, '')) || undefined,
  }
}

/** The beginning of a line as the engine writes it. In a text that somebody else chose every quotation mark is escaped, so none can look like this. */
const HEAD = /"Type":"(\w+)","Action":"([\w ]+)[^"]*","Actor":\{"ID":"([^"\\]+)"/

const parseHead = (head: string): DockerEvent | undefined => {
  const [, type, action, id] = HEAD.exec(head) ?? []
  if (type === undefined || action === undefined || id === undefined) return undefined
  return { type, action, id, container: undefined, name: undefined }
}
