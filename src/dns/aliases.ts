import { TYPE } from './codes.ts'
import { MalformedMessage } from './message-reader.ts'
import type { ResourceRecord } from './records.ts'

/** More aliases in a row than any real zone has; resolvers stop at about the same. */
const MAX_CHAIN = 16

/**
 * What answers the question: the records of the asked name, or its alias and those of the name that this leads to, and so on. Everything else in a message may be there
 * to be believed.
 * @throws MalformedMessage for a loop
 */
export function followAliases(
  records: readonly ResourceRecord[],
  name: string,
  type: number,
): ResourceRecord[] {
  const first = records[0]
  if (records.length === 1 && first?.owner === name && first.type === type) return [first]
  const byOwner = groupByOwner(records)
  const kept: ResourceRecord[] = []
  let owner = name
  for (let hops = 0; hops <= MAX_CHAIN; hops++) {
    const own = byOwner.get(owner) ?? []
    const wanted = own.filter(
      (record) => record.type === type || record.type === TYPE.RRSIG || type === TYPE.ANY,
    )
    kept.push(...wanted)
    const alias = own.find((record) => record.type === TYPE.CNAME)
    if (!alias?.target || wanted.some((record) => record.type === type)) return kept
    kept.push(alias)
    owner = alias.target
  }
  throw new MalformedMessage('the CNAME chain is a loop or longer than 16')
}

function groupByOwner(records: readonly ResourceRecord[]): Map<string, ResourceRecord[]> {
  const groups = new Map<string, ResourceRecord[]>()
  for (const record of records) {
    const group = groups.get(record.owner)
    if (group) group.push(record)
    else groups.set(record.owner, [record])
  }
  return groups
}
