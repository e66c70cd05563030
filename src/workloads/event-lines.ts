import { StringDecoder } from 'node:string_decoder'
import { isObject, objectOf, textOf } from './json.ts'

/** An event of the engine, reduced to what decides where to look. */
export interface DockerEvent {
  readonly type: string
  /** Without what some actions carry after a colon (`exec_start: sh -c …`, `health_status: healthy`). */
  readonly action: string
  readonly id: string
  /** For `network connect` and `disconnect`: the container. */
  readonly container: string | undefined
}

/** No event comes near this; without a limit a stream that never ends a line would fill the memory. */
const MAX_LINE_LENGTH = 1024 * 1024

/** The raw event stream, cut wherever the socket cut it, → events. What is no event is counted and skipped. */
export class EventLines {
  readonly #decoder = new StringDecoder('utf8')
  #rest = ''
  #malformed = 0

  /** Lines so far that were no event. */
  get malformed(): number {
    return this.#malformed
  }

  push(chunk: Buffer | string): DockerEvent[] {
    const text = typeof chunk === 'string' ? chunk : this.#decoder.write(chunk)
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    if (this.#rest.length > MAX_LINE_LENGTH) {
      this.#rest = ''
      this.#malformed += 1
    }
    return lines.filter((line) => line.trim() !== '').flatMap((line) => this.#parse(line) ?? [])
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
  }
}
