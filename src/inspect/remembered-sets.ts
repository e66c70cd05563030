import type { IpsetDriver } from '../targets/ipset/driver.ts'

/** Answers about sets, each read from the kernel once. */
export interface RememberedSets {
  readonly holding: IpsetDriver['holding']
  readonly elementsOf: (set: string) => Promise<readonly string[]>
}

/** For one look at many networks, which asks the same about the same sets again and again. Each question takes a process. */
export function rememberSets(ipset: Pick<IpsetDriver, 'holding' | 'elements'>): RememberedSets {
  const held = new Map<string, Promise<Set<string>>>()
  const elements = new Map<string, Promise<readonly string[]>>()
  return {
    holding: (questions) => remembered(held, JSON.stringify(questions), () => ipset.holding(questions)),
    elementsOf: (set) =>
      remembered(elements, set, async () =>
        ((await ipset.elements([set])).get(set) ?? []).map(({ element }) => element),
      ),
  }
}

function remembered<T>(known: Map<string, Promise<T>>, key: string, ask: () => Promise<T>): Promise<T> {
  const answer = known.get(key) ?? ask()
  known.set(key, answer)
  return answer
}
