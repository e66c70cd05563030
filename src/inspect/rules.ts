import type { Action } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { RulesArgs } from '../cli/rules.ts'
import { renderTable } from '../cli/table.ts'
import { formatBytes, formatCount } from '../cli/units.ts'
import { createDrivers } from '../host/drivers.ts'
import { isOurs } from '../iptables/diff.ts'
import type { Saved, SavedRule } from '../iptables/parse.ts'
import { FAMILIES } from '../net/types.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { Run } from '../system/exec.ts'
import { chainOrder } from './chain-order.ts'
import { wordsOf } from './ruleset.ts'

/** The firewall as it stands in the kernel: in words and numbered, or as the kernel's tools have it. */
export const rulesAction =
  (run: Run): Action<RulesArgs> =>
  async ({ raw }, io) => {
    const drivers = createDrivers(run)
    if (raw) {
      io.stdout.write(await drivers.iptables.raw())
      io.stdout.write(await drivers.backstop.raw())
      return EXIT.ok
    }
    const [rules, backstop] = [await drivers.iptables.read(), await drivers.backstop.read()]
    for (const family of FAMILIES) {
      io.stdout.write(
        `IPv${family} (iptables-${drivers.iptables.flavour ?? 'unknown'})\n${listing(rules[family])}\n`,
      )
    }
    io.stdout.write(
      backstop
        ? `Backstop (nft, both families)\n  dropped ${formatCount(backstop.droppedPackets)} packets, ${formatBytes(backstop.droppedBytes)}, that no rule approved\n`
        : 'Backstop (nft, both families)\n  not there\n',
    )
    return EXIT.ok
  }

/** Every rule of ours and every rule in a chain of ours, in the order in which a packet meets them. */
function listing(saved: Saved): string {
  const rows: string[][] = []
  for (const [table, content] of saved.tables) {
    for (const name of chainOrder(content)) {
      const rules = content.chains.get(name)?.rules ?? []
      const shown = isOurs(name)
        ? rules
        : rules.filter((rule) => rule.target !== undefined && isOurs(rule.target))
      for (const rule of shown) {
        rows.push([
          String(rows.length + 1),
          `${table} ${name}`,
          formatCount(rule.packets),
          formatBytes(rule.bytes),
          verdictOf(rule),
          sanitise(rule.key === undefined ? `NOT OURS: ${rule.text}` : wordsOf(rule.text, rule.key)),
        ])
      }
    }
  }
  if (rows.length === 0) return '  no rule of ours\n'
  return renderTable(['#', 'CHAIN', 'PACKETS', 'BYTES', 'VERDICT', 'RULE'], rows)
}

function verdictOf({ target }: SavedRule): string {
  if (target === undefined) return 'count'
  return isOurs(target) ? `> ${target}` : target.toLowerCase()
}
