import type { Figure } from './figure.ts'
import { linkEvents, ruleEvents } from './kernel-events.ts'
import { quantile } from './spread.ts'
import { Lab } from '../lab/lab.ts'

export const network: Figure = {
  name: 'network',
  title: 'A custom-named network: created to guarded',
  method:
    'From the interface’s appearance, and from the engine’s answer to `network create`, to the rule with its name in our chain of both families. Below zero: guarded before the engine has answered. The second guard closes it before that, from its first packet.',
  async measure({ networks }) {
    await using lab = await Lab.start({ name: 'bench-network' })
    await lab.daemon({ config: 'allow: [allowed.example]' })
    const rules = await ruleEvents(lab)
    const links = await linkEvents(lab)
    const fromLink: number[] = []
    const fromAnswer: number[] = []
    for (let index = 0; index < networks; index++) {
      const bridge = `shop${index}`
      rules.forget()
      links.forget()
      const created = await lab.network(`shop-${index}`, { bridge })
      const answeredMs = performance.now()
      const [link, ...guarded] = await Promise.all([
        links.first(new RegExp(` ${bridge}: `), 20_000),
        ...['ip', 'ip6'].map((family) =>
          rules.first(new RegExp(`rule ${family} filter EMBARGOD .*"${bridge}"`), 20_000),
        ),
      ])
      const guardedMs = Math.max(...guarded.map(({ atMs }) => atMs))
      fromLink.push(guardedMs - link.atMs)
      fromAnswer.push(guardedMs - answeredMs)
      await created.remove()
      await rules.first(new RegExp(`delete rule ip6? filter EMBARGOD `), 20_000)
    }
    rules.close()
    links.close()
    const both = (values: readonly number[]): string =>
      `p50 ${quantile(values, 0.5).toFixed(0)} ms, p99 ${quantile(values, 0.99).toFixed(0)} ms`
    return [
      { what: 'from the interface', measured: both(fromLink) },
      {
        what: 'from the engine’s answer',
        measured: both(fromAnswer),
        reach: 'p99 ≤ 50 ms',
        met: quantile(fromAnswer, 0.99) <= 50,
      },
    ]
  },
}
