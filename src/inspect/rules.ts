import type { Action } from '../cli/command.ts'
import { EXIT } from '../cli/command.ts'
import type { RulesArgs } from '../cli/rules.ts'
import { renderTable } from '../cli/table.ts'
import { formatBytes, formatCount } from '../cli/units.ts'
import { OWNED_TABLE } from '../dataplane/names.ts'
import { createDrivers } from '../host/drivers.ts'
import { isOurs } from '../targets/iptables/hook-places.ts'
import type { Saved, SavedRule } from '../targets/iptables/parse.ts'
import { FAMILIES } from '../net/types.ts'
import { BackstopDriver } from '../targets/backstop/driver.ts'
import type { SavedBackstop } from '../targets/backstop/parse.ts'
import type { SavedBindings } from '../targets/bindings/render.ts'
import { sanitise } from '../observe/sanitise.ts'
import type { Run } from '../system/exec.ts'
import { chainOrder } from './chain-order.ts'
import { wordsOf } from './ruleset.ts'

/** Lists the firewall as the kernel has it: numbered and in words, or as the kernel's tools print it. */
export const rulesAction =
  (run: Run): Action<RulesArgs> =>
  async ({ raw }, io) => {
    const drivers = createDrivers(run)
    const twin = new BackstopDriver(run, OWNED_TABLE)
    if (raw) {
      io.stdout.write(await drivers.iptables.raw())
      io.stdout.write(await drivers.backstop.raw())
      io.stdout.write(await twin.raw())
      io.stdout.write(await drivers.bindings.raw())
      io.stdout.write(await drivers.hostNetwork.raw())
      return EXIT.ok
    }
    const [rules, backstop, held, bindings, hostNetwork] = [
      await drivers.iptables.read(),
      await drivers.backstop.read(),
      await twin.read(),
      (await drivers.bindings.look()).saved,
      await drivers.hostNetwork.read(),
    ]
    for (const family of FAMILIES) {
      io.stdout.write(
        `IPv${family} (iptables-${drivers.iptables.flavour ?? 'unknown'})\n${listing(rules[family])}\n`,
      )
    }
    io.stdout.write('Backstop (nft, both families)\n')
    io.stdout.write(backstop ? `  dropped ${droppedBy(backstop)}, that no rule approved\n` : '  not there\n')
    io.stdout.write(
      held
        ? `  held by the daemon too, so that a flush of all rules passes it by; alone it dropped ${droppedBy(held)}\n`
        : '  not held: a flush of all rules takes it until it is repaired\n',
    )
    if (bindings) io.stdout.write(`Bindings (nft, bridges)\n${bindingsInWords(bindings)}`)
    if (hostNetwork)
      io.stdout.write(
        `Marks on the network of the host (nft, both families)\n  ${hostNetwork.classes.size} control groups of containers\n`,
      )
    return EXIT.ok
  }

const bindingsInWords = ({ elements, dropped }: SavedBindings): string =>
  [
    `${elements.get('ports')?.size ?? 0} ports of containers`,
    `${formatCount(dropped.forged)} forged frames of theirs dropped`,
    `${formatCount(dropped.claimed)} frames dropped that used their addresses elsewhere`,
  ]
    .map((line) => `  ${line}\n`)
    .join('')

const droppedBy = ({ droppedPackets, droppedBytes }: SavedBackstop): string =>
  `${formatCount(droppedPackets)} packets, ${formatBytes(droppedBytes)}`

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
