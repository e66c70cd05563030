import type { Address } from '../net/types.ts'
import { withSeveralRights } from '../policy/stray-routes.ts'
import type { Assignment } from '../policy/classes.ts'
import { defaultGateway4, defaultGateway6 } from '../workloads/default-route.ts'
import * as files from './outside-files.ts'

/** The default gateways of containers that have different rights on their networks, by container: which of the rights count follows from them. */
export async function containerGateways(rights: Assignment): Promise<ReadonlyMap<string, Address[]>> {
  const gateways = await Promise.all(
    Array.from(withSeveralRights(rights), async ([id, pid]): Promise<[string, Address[]]> => {
      const [text4, text6] = await Promise.all([
        read(`/proc/${pid}/net/route`),
        read(`/proc/${pid}/net/ipv6_route`),
      ])
      return [id, [defaultGateway4(text4), defaultGateway6(text6)].filter((one) => one !== undefined)]
    }),
  )
  return new Map(gateways)
}

/** A process may end at any time; it has no routes then. */
const read = (path: string): Promise<string> =>
  files.readKernelFile(path).then(
    (text) => text ?? '',
    () => '',
  )
