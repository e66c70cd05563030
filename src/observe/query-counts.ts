import type { LabelsOf } from './catalogue.ts'

type QueryLabels = LabelsOf<'dnsQueries'>

/**
 * Questions to the DNS gateway since the last scrape, by policy, type and outcome. They are counted here first: to find a counter by its labels costs
 * more than to answer a question from the cache.
 */
export class QueryCounts {
  readonly #counts = new Map<string, Map<string, Map<QueryLabels['outcome'], number>>>()

  add({ policy, type, outcome }: QueryLabels): void {
    const ofType = entryOf(entryOf(this.#counts, policy), type)
    ofType.set(outcome, (ofType.get(outcome) ?? 0) + 1)
  }

  /** All counts, which begin at zero again. */
  take(): { readonly labels: QueryLabels; readonly count: number }[] {
    const taken = [...this.#counts].flatMap(([policy, ofPolicy]) =>
      [...ofPolicy].flatMap(([type, ofType]) =>
        [...ofType].map(([outcome, count]) => ({ labels: { policy, outcome, type }, count })),
      ),
    )
    this.#counts.clear()
    return taken
  }
}

/** The inner map of a key, which is made where there is none. */
function entryOf<Key, Value>(outer: Map<string, Map<Key, Value>>, key: string): Map<Key, Value> {
  let inner = outer.get(key)
  if (!inner) outer.set(key, (inner = new Map()))
  return inner
}
