import type { LoadedConfig } from '../config/load.ts'
import type { Problem } from '../config/model.ts'
import { namesNoNetwork } from '../workloads/guarded.ts'
import type { Inventory } from '../workloads/model.ts'
import { unknownNames } from './unknown-names.ts'

/**
 * What a loaded config says about this host that is not so. Containers and networks come and go, so a name that nothing bears is a warning; a list
 * of networks to guard that names none of them is an error, since it cannot have been meant.
 * @param seen networks that were there before
 */
export function nameProblems(
  { config, placeOf }: LoadedConfig,
  inventory: Inventory | undefined,
  seen?: ReadonlySet<string>,
): Problem[] {
  if (!config || !placeOf || !inventory) return []
  const guardsNothing = namesNoNetwork(config.guard, inventory, seen)
  return unknownNames(config, inventory).map(({ path, words }) => {
    const [section, key] = path
    const isFatal = guardsNothing && section === 'guard' && key === 'networks'
    const message = isFatal
      ? `${words}: guard.networks names none that there is, so nothing would be guarded`
      : words
    return { severity: isFatal ? 'error' : 'warning', ...placeOf(path), message }
  })
}
