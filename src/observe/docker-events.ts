/** Types and actions that get a series of their own; the engine's lists are open, and `exec_create: <command>` holds free text. */
const ACTIONS: Readonly<Record<string, readonly string[]>> = {
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
}

/** Bounded label values for an event: anything unknown is `other`. */
export function eventLabels(
  type: string,
  action: string,
): { readonly type: string; readonly action: string } {
  const actions = Object.hasOwn(ACTIONS, type) ? ACTIONS[type] : undefined
  const verb = action.split(':', 1)[0] ?? ''
  return {
    type: actions === undefined ? 'other' : type,
    action: actions?.includes(verb) ? verb : 'other',
  }
}
