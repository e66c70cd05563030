import type { Scrape } from '../scrape.ts'

/** What the kernel counted goes on over a restart of the daemon, a clean one and a crash; all else is as old as the process. */
const LASTING = /^embargod_(rule_packets|rule_bytes|denied_packets|domain_connections)_total$/

/** Remembers every counter and tells when one fell. */
export class CounterWatch {
  private readonly highest = new Map<string, number>()
  private pid: number | undefined

  /** A line for each counter that is lower than it ever was. A series that is gone for a time has to come back no lower. */
  fallen(page: Scrape, pid: number | undefined): readonly string[] {
    if (pid !== this.pid) {
      this.pid = pid
      for (const key of this.highest.keys())
        if (!LASTING.test(key.slice(0, key.indexOf('{')))) this.highest.delete(key)
    }
    return page.samples.flatMap(({ name, labels, value }) => {
      if (!name.endsWith('_total')) return []
      const pairs = Object.entries(labels).toSorted(([a], [b]) => (a < b ? -1 : 1))
      const key = `${name}{${pairs.map(([label, text]) => `${label}=${text}`).join(',')}}`
      const before = this.highest.get(key) ?? 0
      this.highest.set(key, Math.max(before, value))
      return value < before ? [`${key} fell from ${before} to ${value}`] : []
    })
  }

  get series(): number {
    return this.highest.size
  }
}
