import { isOurs } from '../targets/iptables/hook-places.ts'
import type { SavedTable } from '../targets/iptables/parse.ts'

/** Chains in the order in which a packet meets them: those that reach us first, each followed by what it leads to, then what nobody reaches. */
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
