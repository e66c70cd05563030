import { listed } from '../config/change.ts'
import type { Hostname } from '../net/types.ts'
import type { AddressStore } from '../resolve/address-store.ts'
import type { NameStatus } from '../resolve/model.ts'

const MOST_NAMES = 5
const MOST_REASONS = 3

/** Which of these names do not work now, in sentences for the person who has just changed the config. */
export function namesThatFail(addressStore: AddressStore, names: ReadonlySet<Hostname>): string[] {
  const { failing, stale } = addressStore.counts()
  if (failing + stale === 0) return []
  const asked = [...names].flatMap((name) => addressStore.status(name) ?? [])
  const inState = (state: NameStatus['state']): NameStatus[] => asked.filter((one) => one.state === state)
  return [
    ...sentence(inState('failing'), asked.length, 'have no address', 'has no address'),
    ...sentence(inState('stale'), asked.length, 'live on old answers', 'lives on old answers'),
  ]
}

function sentence(found: readonly NameStatus[], all: number, several: string, one: string): string[] {
  if (found.length === 0) return []
  const byReason = new Map<string, string[]>()
  for (const status of found) {
    const reason = reasonOf(status)
    byReason.set(reason, [...(byReason.get(reason) ?? []), status.name])
  }
  const reasons = [...byReason].toSorted(([, a], [, b]) => b.length - a.length)
  const said = reasons
    .slice(0, MOST_REASONS)
    .map(([reason, names]) => `${listed(names, MOST_NAMES)}: ${reason}`)
    .concat(reasons.length > MOST_REASONS ? ['and for other reasons'] : [])
  return [`${found.length} of ${all} names ${found.length === 1 ? one : several} (${said.join('; ')})`]
}

/** What the look-ups of both families report is listed once. */
function reasonOf({ lastError, refused }: NameStatus): string {
  if (refused.length > 0) return `${listed(refused, MOST_NAMES)} refused because of the range`
  if (lastError === undefined) return 'no answer yet'
  return [...new Set(lastError.split('; ').map((part) => part.replace(/^A(?:AAA)?: /, '')))].join('; ')
}
