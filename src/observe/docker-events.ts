/** Types of events that get a series of their own. The engine's list is open. */
export const EVENT_TYPES = ['container', 'network', 'daemon', 'other'] as const

const ACTIONS = {
  container: [
    'create',
    'start',
    'restart',
    'stop',
    'kill',
    'die',
    'oom',
    'pause',
    'unpause',
    'rename',
    'update',
    'destroy',
    'exec_create',
    'exec_start',
    'exec_die',
    'health_status',
    'attach',
  ],
  network: ['create', 'connect', 'disconnect', 'destroy', 'remove', 'prune'],
  daemon: ['reload'],
  other: [],
} as const satisfies Readonly<Record<EventType, readonly string[]>>

/** Actions of events that get a series of their own. The engine's list is open, and `exec_create: <command>` holds free text. */
export const EVENT_ACTIONS = [...Object.values(ACTIONS).flat(), 'other'] as const

type EventType = (typeof EVENT_TYPES)[number]
type EventAction = (typeof EVENT_ACTIONS)[number]

/** Bounded label values for an event: anything unknown is `other`. */
export function eventLabels(
  type: string,
  action: string,
): { readonly type: EventType; readonly action: EventAction } {
  const known = EVENT_TYPES.find((one) => one === type) ?? 'other'
  const verb = action.split(':', 1)[0]
  return { type: known, action: ACTIONS[known].find((one) => one === verb) ?? 'other' }
}
