import { isOurs } from '../targets/iptables/hook-places.ts'
import type { SavedTable } from '../targets/iptables/parse.ts'

/** Chains in the order in which a packet meets them: chains of others first, each followed by the chains of ours that it leads to, then those that nothing leads to. */
export function chainOrder({ chains }: SavedTable): string[] {
  const order: string[] = []
  const visit = (name: string): void => {
    if (order.includes(name) || !chains.has(name)) return
    order.push(name)
    for (const { target } of chains.get(name)?.rules ?? [])
      if (target !== undefined && isOurs(target)) visit(target)
  }
  for (const name of chains.keys()) if (!isOurs(name)) visit(name)
  for (const name of chains.keys()) visit(name)
  return order
}
