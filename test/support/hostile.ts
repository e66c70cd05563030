import fc from 'fast-check'

export interface Repeated {
  readonly head: string
  readonly unit: string
  readonly tail: string
}

/** Text of a few words over and over, as a machine makes it that looks for the slow way through a pattern. */
export const repeated = (words: readonly string[]): fc.Arbitrary<Repeated> =>
  fc.record({
    head: fc.constantFrom('', ...words),
    unit: fc
      .array(fc.constantFrom(...words, ...COMMON), { minLength: 1, maxLength: 3 })
      .map((parts) => parts.join('')),
    tail: fc.constantFrom('', ...words, '\n'),
  })

export const textOf = ({ head, unit, tail }: Repeated, length: number): string =>
  head + unit.repeat(Math.ceil(length / unit.length)) + tail

const COMMON = ['a', '1', ' ', '\n', '"', '\\', '\t']

/** A sample with stretches of it cut out, doubled, or replaced by other text. */
export const damaged = (samples: readonly string[]): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...samples),
      fc.array(
        fc.record({
          at: fc.double({ min: 0, max: 1, noNaN: true }),
          length: fc.nat(30),
          put: fc.oneof(
            fc.constantFrom(
              '',
              '\n',
              '"',
              '\\',
              ' ',
              '{',
              '}',
              '[',
              ']',
              'null',
              '-1',
              '9e99',
              '\0',
              '\u202e',
            ),
            fc.string({ unit: 'binary', maxLength: 12 }),
            fc.constant(undefined),
          ),
        }),
        { minLength: 1, maxLength: 4 },
      ),
    )
    .map(([sample, changes]) =>
      changes.reduce((text, { at, length, put }) => {
        const from = Math.floor(at * text.length)
        const stretch = text.slice(from, from + length)
        return text.slice(0, from) + (put ?? stretch + stretch) + text.slice(from + length)
      }, sample),
    )

const SHORT = 4_000
const TIMES = 8
/** Each doubling may take 2.5 times as long; twice that is for the collector. What compares all with all takes 64 times as long. */
const MOST_TIMES = 2.5 ** 3 * 2
/** Less than this tells nothing. */
const FLOOR_MS = 20
const LEAST_MS = 0.5
const ROUNDS = 6

/** How often longer 8 times as much takes, in the best of some rounds; undefined: no more than is fair, or no time to speak of. */
export async function growthOf(
  pattern: Repeated,
  read: (text: string) => unknown,
): Promise<number | undefined> {
  const texts = [textOf(pattern, SHORT), textOf(pattern, SHORT * TIMES)] as const
  const best: [number, number] = [Infinity, Infinity]
  for (let round = 0; round < ROUNDS; round++) {
    for (const at of [0, 1] as const) {
      const started = process.cpuUsage()
      await read(texts[at])
      best[at] = Math.min(best[at], cpuMsSince(started))
    }
    if (best[1] < FLOOR_MS || best[1] / Math.max(best[0], LEAST_MS) < MOST_TIMES) return undefined
  }
  return best[1] / best[0]
}

/** Of this process alone: by the clock on the wall a busy machine looks like a slow pattern. */
function cpuMsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started)
  return (user + system) / 1000
}
