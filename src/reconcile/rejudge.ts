import { renderAdd, renderDelete } from '../targets/ipset/render.ts'
import { REVOKED_SECONDS } from '../dataplane/build.ts'
import type { Flow } from '../dataplane/flow.ts'
import { judgeFlows, permission, type RevokeInput } from '../dataplane/revoke.ts'
import { lingerSet, revokedSet } from '../dataplane/names.ts'
import type { KnownSet } from '../targets/ipset/known.ts'
import { secondsToKeep } from '../targets/ipset/time-left.ts'
import { FAMILIES, type Address } from '../net/types.ts'

/** How long an established connection on an expired address may stay silent, in seconds. */
const LINGER_SECONDS = 86_400

/** As many flows as a set surely takes, earlier ones included. Further flows are only judged by their next packet, as all are. */
const MOST_FLOWS = 60_000

/** Changes of the sets of flows that a new generation needs: flows that linger, that are revoked, and that were revoked and are allowed again. */
export function rejudge(
  flows: readonly Flow[],
  known: ReadonlyMap<string, KnownSet>,
  input: RevokeInput,
  nowMs: number,
): Rejudged {
  const { linger, revoked, between } = judgeFlows(flows, input)
  const lines: string[] = []
  /** @param elements with the epoch ms of their end */
  const add = (
    set: string,
    elements: Iterable<readonly [string, number]>,
    mostSeconds: number,
    comment: string,
  ): void => {
    const present = known.get(set)?.elements
    let room = MOST_FLOWS - (present?.size ?? 0)
    for (const [element, endMs] of elements) {
      const timeoutSeconds = secondsToKeep(endMs, mostSeconds, nowMs)
      if (timeoutSeconds === undefined) continue
      // A full set refuses the line, and then the whole pass fails.
      if (!present?.has(element) && room-- <= 0) continue
      lines.push(renderAdd(set, { element, timeoutSeconds, comment }))
    }
  }
  for (const [set, ends] of linger) add(set, ends, LINGER_SECONDS, 'live when its address expired')
  for (const [set, elements] of revoked) {
    const unending = [...new Set(elements)].map((element) => [element, Infinity] as const)
    add(set, unending, REVOKED_SECONDS, 'live when its right was revoked')
  }
  // A flow that lingered under a right that is now revoked must not pass again when its revocation expires.
  for (const family of FAMILIES) {
    const lingering = known.get(lingerSet(family))?.elements
    for (const element of revoked.get(revokedSet(family)) ?? [])
      if (lingering?.has(element)) lines.push(renderDelete(lingerSet(family), element))
  }
  lines.push(...allowedAgain(known, input).map(({ set, element }) => renderDelete(set, element)))
  return { lines, between }
}

export interface Rejudged {
  /** To be written before the rules of the new generation. */
  readonly lines: readonly string[]
  /** Revoked flows between containers. What the far container sends passes as a reply, in any generation, until the kernel forgets the connection. */
  readonly between: readonly Flow[]
}

/**
 * Revoked flows that the rules allow now: a right came back, or an answer names the address at last. An element of the revoked set covers every
 * connection of its source to that port, so it must not stay longer than its reason.
 * @param destinations only flows to these; undefined: all
 */
export function allowedAgain(
  known: ReadonlyMap<string, KnownSet>,
  input: RevokeInput,
  destinations?: ReadonlySet<string>,
): { readonly set: string; readonly element: string }[] {
  const isPermitted = permission(input)
  return revokedFlows(known).flatMap(({ set, element, flow }) =>
    (destinations?.has(flow.destination) ?? true) && isPermitted(flow) ? [{ set, element }] : [],
  )
}

export const revokedDestinations = (known: ReadonlyMap<string, KnownSet>): ReadonlySet<string> =>
  new Set(revokedFlows(known).map(({ flow }) => flow.destination))

function revokedFlows(
  known: ReadonlyMap<string, KnownSet>,
): { readonly set: string; readonly element: string; readonly flow: Flow }[] {
  return FAMILIES.map(revokedSet).flatMap((set) =>
    [...(known.get(set)?.elements.keys() ?? [])].flatMap((element) => {
      const flow = flowOf(element)
      return flow ? [{ set, element, flow }] : []
    }),
  )
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
