/** One of those that are compared; its turn returns what was measured. */
export interface Contestant {
  readonly name: string
  readonly turn: () => Promise<number>
}

/**
 * Gives each contestant one turn a round, in a rotating order, so that no one always follows the same other. A first round warms up
 * and is not counted.
 */
export async function inTurns(
  contestants: readonly Contestant[],
  rounds: number,
): Promise<ReadonlyMap<string, readonly number[]>> {
  const results = new Map(contestants.map(({ name }): [string, number[]] => [name, []]))
  for (const { turn } of contestants) await turn()
  for (let round = 0; round < rounds; round++) {
    for (let place = 0; place < contestants.length; place++) {
      const contestant = contestants[(round + place) % contestants.length]
      if (contestant) results.get(contestant.name)?.push(await contestant.turn())
    }
    process.stderr.write(`\r  round ${round + 1} of ${rounds}  `)
  }
  process.stderr.write('\r                        \r')
  return results
}

export function resultsOf(
  results: ReadonlyMap<string, readonly number[]>,
  contestant: string,
): readonly number[] {
  const values = results.get(contestant)
  if (!values) throw new Error(`${contestant} was not measured`)
  return values
}
