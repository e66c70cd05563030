import type { Family, Hostname } from '../net/types.ts'
import type { Policies } from '../policy/model.ts'
import { allowSet } from './names.ts'

/** Where the addresses of a name go, by one port list of one policy. */
export interface Feed {
  readonly sets: Readonly<Record<Family, string>>
  /** Private ones, too? */
  readonly private: boolean
}

export function feedsOf(policies: Policies): Map<Hostname, Feed[]> {
  const feeds = new Map<Hostname, Feed[]>()
  for (const policy of policies.policies) {
    for (const group of policy.groups) {
      const sets = { 4: allowSet(policy.id, group.ports, 4), 6: allowSet(policy.id, group.ports, 6) }
      for (const [name, isPrivate] of group.names) {
        const feed = { sets, private: isPrivate }
        const known = feeds.get(name)
        if (known) known.push(feed)
        else feeds.set(name, [feed])
      }
    }
  }
  return feeds
}
