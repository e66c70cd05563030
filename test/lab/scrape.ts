import type { Lab } from './lab.ts'

/** One line of `/metrics`. */
export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** What a scraper on the host reads of the daemon. */
export class Scrape {
  constructor(readonly samples: readonly Sample[]) {}

  /** The sum of all series of the name that bear these labels; undefined where there is none. */
  value(name: string, labels: Readonly<Record<string, string>> = {}): number | undefined {
    const found = this.samples.filter(
      (sample) =>
        sample.name === `embargod_${name}` &&
        Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
    return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0)
  }

  /** Every series of a counter by its labels. */
  series(name: string): ReadonlyMap<string, number> {
    const own = this.samples.filter((sample) => sample.name === `embargod_${name}`)
    return new Map(own.map(({ labels, value }) => [JSON.stringify(labels), value]))
  }
}

export async function scrape(lab: Lab, port = 9464): Promise<Scrape> {
  const url = `http://127.0.0.1:${port}/metrics`
  const { stdout } = await lab.host(['curl', '-sSf', '--max-time', '10', url])
  return new Scrape(stdout.split('\n').flatMap(sampleOf))
}

function sampleOf(line: string): Sample[] {
  const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line)
  if (!found || line.startsWith('#')) return []
  const [, name = '', labels = '', value = ''] = found
  const pairs = [...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
  return [
    {
      name,
      labels: Object.fromEntries(pairs.map(([, key = '', text = '']) => [key, text])),
      value: Number(value),
    },
  ]
}
