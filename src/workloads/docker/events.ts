import type { DockerEvent } from './event-lines.ts'

/**
 * What the session does about an event. Each `read…Now` asks the engine at once, beside everything else that is being asked: a container
 * sends its first packet within a millisecond of its start, and its rights depend on the answer. Whatever is queued is asked for once, after
 * a short pause in which more can gather.
 */
export type EventStep =
  | 'readNetworkNow'
  /** Reads the container from the engine's list, which does not wait. Its inspection would wait for the start that mostly follows. */
  | 'readListedNow'
  | 'readContainerNow'
  /** Reads the place of a container from its network. Its process does not run yet, mostly, so an inspection would wait. */
  | 'readPlaceNow'
  /** Puts the new name into what is known of the container, without asking: rights go by it, and an inspection would wait for a start. */
  | 'rename'
  | 'forgetName'
  | 'queueNetwork'
  | 'queueContainer'
  | 'queueEverything'

interface EventRow {
  /** Any type where it is left out. */
  readonly type?: string
  /** Any action where it is left out. */
  readonly action?: string
  /** The row is only for events that bear this. */
  readonly needs?: 'container' | 'name'
  readonly steps: readonly EventStep[]
}

/** The first row that fits an event counts. An event that fits none changes nothing that is read here. */
const EVENT_TABLE: readonly EventRow[] = [
  { type: 'network', action: 'create', steps: ['readNetworkNow'] },
  { type: 'network', action: 'connect', needs: 'container', steps: ['readPlaceNow'] },
  { type: 'network', action: 'disconnect', needs: 'container', steps: ['queueContainer'] },
  { type: 'container', action: 'create', steps: ['readListedNow'] },
  { type: 'container', action: 'start', steps: ['readContainerNow'] },
  { type: 'container', action: 'rename', needs: 'name', steps: ['rename', 'queueContainer'] },
  { type: 'container', action: 'destroy', steps: ['forgetName', 'queueContainer'] },
  { action: 'prune', steps: ['queueEverything'] },
  { action: 'reload', steps: ['queueEverything'] },
  { type: 'network', steps: ['queueNetwork'] },
  { type: 'container', steps: ['queueContainer'] },
]

export function stepsFor(event: DockerEvent): readonly EventStep[] {
  // Only a listing finds what an event is about that does not say so.
  if (event.id === '') return ['queueEverything']
  return EVENT_TABLE.find((row) => fits(row, event))?.steps ?? []
}

/** The network and the container that an event is about; an empty text where it is about none. */
export const subjectsOf = ({
  type,
  id,
  container = '',
}: DockerEvent): Record<'network' | 'container', string> =>
  type === 'network' ? { network: id, container } : { network: '', container: id }

const fits = ({ type, action, needs }: EventRow, event: DockerEvent): boolean =>
  (type === undefined || type === event.type) &&
  (action === undefined || action === event.action) &&
  (needs === undefined || event[needs] !== undefined)
