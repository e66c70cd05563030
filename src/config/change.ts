import { formatDuration } from './duration.ts'
import type { AllowEntry, Config } from './model.ts'
import { targetText } from './target-text.ts'

/** What one config changes of another, in an operator's words. */
export interface ConfigChange {
  readonly allowed: readonly string[]
  readonly removed: readonly string[]
  /** Everything else, by key. */
  readonly settings: readonly string[]
}

/** Both as they stand at `nowMs`: an entry whose `until` has passed allows nothing. */
export function changeOf(before: Config, after: Config, nowMs: number): ConfigChange {
  const [had, has] = [entriesOf(before, nowMs), entriesOf(after, nowMs)]
  const ends = [...has].flatMap(([text, untilMs]) =>
    had.has(text) && had.get(text) !== untilMs
      ? [`${text}: ${endText(had.get(text))} -> ${endText(untilMs)}`]
      : [],
  )
  return {
    allowed: [...has].filter(([text]) => !had.has(text)).map(([text, untilMs]) => withEnd(text, untilMs)),
    removed: [...had.keys()].filter((text) => !has.has(text)),
    settings: [...ends, ...settingChanges('', settingsOf(before), settingsOf(after))],
  }
}

/** One line for each kind of change, of a length that a person reads. */
export function changeLines({ allowed, removed, settings }: ConfigChange): string[] {
  return [
    ...(allowed.length === 0 ? [] : [`allowed anew: ${listed(allowed)}`]),
    ...(removed.length === 0 ? [] : [`no longer: ${listed(removed)}`]),
    ...settings.slice(0, MOST_LISTED),
    ...(settings.length > MOST_LISTED ? [`and ${settings.length - MOST_LISTED} more settings`] : []),
  ]
}

const MOST_LISTED = 10

/** The first few of a list, and how many more there are. */
export const listed = (texts: readonly string[], most = MOST_LISTED): string =>
  [...texts.slice(0, most), ...(texts.length > most ? [`and ${texts.length - most} more`] : [])].join(', ')

/** An entry as people name it. */
export const entryText = ({ target, ports, private: isPrivate }: AllowEntry): string =>
  `${targetText(target)} ${ports.text}${isPrivate ? ' (private)' : ''}`

/** When each right ends, by its text: the latest end of those that several entries give. */
function entriesOf(config: Config, nowMs: number): Map<string, number> {
  const found = new Map<string, number>()
  const lists = [{ whose: '', allow: config.allow }].concat(
    config.policies.map(({ id, allow }) => ({ whose: ` for ${id}`, allow: [...allow] })),
  )
  for (const { whose, allow } of lists) {
    for (const entry of allow) {
      const untilMs = entry.untilMs ?? Infinity
      const text = `${entryText(entry)}${whose}`
      if (untilMs > nowMs) found.set(text, Math.max(untilMs, found.get(text) ?? 0))
    }
  }
  return found
}

const endText = (untilMs: number | undefined): string =>
  untilMs === undefined || untilMs === Infinity ? 'without end' : `until ${new Date(untilMs).toISOString()}`
const withEnd = (text: string, untilMs: number): string =>
  untilMs === Infinity ? text : `${text} ${endText(untilMs)}`

/** Policies by their names, and no entries. */
const settingsOf = (config: Config): object => ({
  ...config,
  allow: undefined,
  policies: Object.fromEntries(config.policies.map((policy) => [policy.id, { ...policy, allow: undefined }])),
})

function settingChanges(path: string, before: unknown, after: unknown): string[] {
  if (isMap(before) && isMap(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys.flatMap((key) =>
      settingChanges(path === '' ? key : `${path}.${key}`, before[key], after[key]),
    )
  }
  const name = path.replace(/Ms$/, '')
  const [was, is] = [valueText(path, before), valueText(path, after)]
  if (was === is) return []
  if (/^policies\.[^.]+$/.test(path)) return [`${name}: ${before === undefined ? 'new' : 'gone'}`]
  if (!isListOfTexts(before) || !isListOfTexts(after)) return [`${name}: ${was} -> ${is}`]
  const added = after.filter((one) => !before.includes(one)).map((one) => `+${one}`)
  const gone = before.filter((one) => !after.includes(one)).map((one) => `-${one}`)
  const moved = added.length + gone.length === 0 ? [is] : []
  return [`${name}: ${listed([...added, ...gone, ...moved])}`]
}

type Value = Readonly<Record<string, unknown>>

/** Not what is written as one text: a rate, a list of ports. */
const isMap = (value: unknown): value is Value => isObject(value) && asText(value) === undefined
const isObject = (value: unknown): value is Value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isListOfTexts = (value: unknown): value is readonly (string | number)[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' || typeof one === 'number')

const asText = (value: Value): string | undefined => {
  if (typeof value['text'] === 'string') return value['text'] || 'none'
  if ('count' in value && 'per' in value) return `${String(value['count'])}/${String(value['per'])}`
  if (typeof value['host'] === 'string') return `${value['host']}:${String(value['port'])}`
  return undefined
}

function valueText(path: string, value: unknown): string {
  if (value === undefined) return 'none'
  if (typeof value === 'number') {
    if (path === 'guard.mark') return `0x${value.toString(16)}`
    if (!path.endsWith('Ms')) return String(value)
    return value % 1000 === 0 ? formatDuration(value) : `${value}ms`
  }
  if (Array.isArray(value)) return listed(value.map((one) => valueText(path, one))) || 'none'
  if (!isObject(value)) return typeof value === 'string' ? value : JSON.stringify(value)
  const text = asText(value)
  if (text !== undefined) return text
  const parts = Object.entries(value).filter(([, one]) => one !== undefined)
  return `{ ${parts.map(([key, one]) => `${key}: ${valueText(`${path}.${key}`, one)}`).join(', ')} }`
}
