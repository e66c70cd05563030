import type { SetSpec } from '../../dataplane/model.ts'

/** ipset's own bound: larger time-outs are refused, and 0 means for ever. */
export const MAX_TIMEOUT_SECONDS = 2_147_483

export interface ElementWrite {
  readonly element: string
  readonly timeoutSeconds: number
  readonly comment: string
  /** Given when the element moves from another set of ours. */
  readonly packets?: number
  readonly bytes?: number
}

/** Elements that one set gets. */
export interface Additions {
  readonly set: string
  readonly writes: readonly ElementWrite[]
}

/** Up to this `maxelem` the kernel's own first size will do. */
const ROOMY = 65_536

export function renderCreate(spec: SetSpec): string {
  const family = spec.family === 6 ? 'inet6' : 'inet'
  // A large set that begins small is rebuilt as it fills, six times to 100,000 elements.
  const hashsize = spec.maxelem > ROOMY ? ` hashsize ${spec.maxelem / 8}` : ''
  return `create ${spec.name} ${spec.type} family ${family}${hashsize} maxelem ${spec.maxelem} timeout ${clampTimeout(spec.timeout)} counters comment`
}

/** An add renews the time-out, keeps the counters and would erase a comment that it does not repeat. */
export function renderAdd(set: string, write: ElementWrite): string {
  const counters = write.packets === undefined ? '' : ` packets ${write.packets} bytes ${write.bytes ?? 0}`
  return `add ${set} ${write.element} timeout ${clampTimeout(write.timeoutSeconds)}${counters} comment "${safeComment(write.comment)}"`
}

export const renderAdditions = (additions: readonly Additions[]): string[] =>
  additions.flatMap(({ set, writes }) => writes.map((write) => renderAdd(set, write)))

export const renderDelete = (set: string, element: string): string => `del ${set} ${element}`

/** Never 0: the kernel would keep the element for ever. */
export const clampTimeout = (seconds: number): number =>
  Math.min(MAX_TIMEOUT_SECONDS, Math.max(1, Math.floor(seconds)))

/** The kernel takes 255 characters without quotes; the rest is for people. */
export const safeComment = (text: string): string =>
  SAFE.test(text) ? text : text.replaceAll(/[^A-Za-z0-9 ,.:/()*+=@_-]/g, '_').slice(0, 200)

/** Nearly all of them. */
const SAFE = /^[A-Za-z0-9 ,.:/()*+=@_-]{0,200}$/
