import { renderAdd, renderDelete } from '../ipset/render.ts'
import { REVOKED_SECONDS } from '../dataplane/build.ts'
import type { Flow } from '../dataplane/flow.ts'
import { isAllowed, judgeFlows, type RevokeInput } from '../dataplane/revoke.ts'
import { revokedSet } from '../dataplane/names.ts'
import type { KnownSet } from '../ipset/sync.ts'
import { FAMILIES, type Address } from '../net/types.ts'

/** How long an established connection on an expired address may stay silent, in seconds. */
const LINGER_SECONDS = 86_400

/** What a flow set surely takes. Of more flows the rest is judged by its next packet, like all. */
const MOST_FLOWS = 50_000

/**
 * The set lines that go with a new generation: what lingers, what is revoked, and what was revoked and is allowed again.
 * They have to stand before the rules of that generation do.
 */
export function rejudge(
  flows: readonly Flow[],
  known: ReadonlyMap<string, KnownSet>,
  input: RevokeInput,
): string[] {
  const { linger, revoked } = judgeFlows(flows, input)
  const lines: string[] = []
  const add = (
    sets: ReadonlyMap<string, readonly string[]>,
    timeoutSeconds: number,
    comment: string,
  ): void => {
    for (const [set, elements] of sets) {
      for (const element of elements.slice(0, MOST_FLOWS))
        lines.push(renderAdd(set, { element, timeoutSeconds, comment }))
    }
  }
  add(linger, LINGER_SECONDS, 'live when its address expired')
  add(revoked, REVOKED_SECONDS, 'live when its right was revoked')
  for (const family of FAMILIES) {
    const set = revokedSet(family)
    for (const element of known.get(set)?.elements.keys() ?? []) {
      const flow = flowOf(element)
      if (flow && isAllowed(flow, input)) lines.push(renderDelete(set, element))
    }
  }
  return lines
}

/** The inverse of the element's text, `source,protocol:port,destination`. */
function flowOf(element: string): Flow | undefined {
  const found = /^([^,]+),(\w+):(\d+),([^,]+)$/.exec(element)
  if (!found) return undefined
  const [, source = '', protocol = '', port = '', destination = ''] = found
  return {
    source: source as Address,
    protocol,
    port: Number(port),
    destination: destination as Address,
    mark: 0,
  }
}
