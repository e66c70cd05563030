import type { Address } from '../net/types.ts'
import type { Grant, NameTable } from '../policy/name-table.ts'
import { isAskable } from './askable.ts'
import { LearnedNames } from './learned-names.ts'
import type { Asker } from './model.ts'
import type { NameRights, Request } from './request.ts'
import type { ResourceRecord } from '../dns/records.ts'
import { targetsOf } from './targets.ts'

const NO_GRANTS: readonly Grant[] = []

/** `wrong-type`: the name is allowed, and records of this type are not asked for. */
export type Verdict = 'allowed' | 'denied' | 'wrong-type'

/** Knows which container may ask for which name. */
export class Authorizer {
  readonly #learned = new LearnedNames()
  readonly #nowMs: () => number
  #names: NameTable

  /** @param nowMs epoch ms */
  constructor(names: NameTable, nowMs: () => number) {
    this.#names = names
    this.#nowMs = nowMs
  }

  /** From the next question on. What containers learned under other rights no longer counts. */
  setNames(names: NameTable): void {
    if (names !== this.#names) this.#learned.clear()
    this.#names = names
  }

  rightsTo(name: string | undefined, asker: Asker, source: Address): NameRights {
    const names = this.#names
    if (name === undefined) return { grants: NO_GRANTS, isLearned: false, names }
    const listed = ownGrants(asker, names.match(name))
    if (listed.length > 0) return { grants: listed, isLearned: false, names }
    // Another container may have the address by now, so what was learned there is compared with the policies of this one.
    const learned = ownGrants(asker, this.#learned.match(source, name, this.#nowMs()))
    return { grants: learned, isLearned: learned.length > 0, names }
  }

  /**
   * Hosts behind a service that an answer names are asked for next. Only a listed name leads to others: otherwise each answer would open a further step.
   * @param ttlOf what the records' TTLs become for clients
   */
  learn(request: Request, answers: readonly ResourceRecord[], ttlOf: (ttlSeconds: number) => number): void {
    const { source, grants, isLearned, names, query } = request
    if (grants.length === 0 || isLearned || names !== this.#names) return
    for (const target of targetsOf(query.dotted ?? '', query.type, answers, grants)) {
      const untilMs = this.#nowMs() + Math.max(1, ttlOf(target.ttlSeconds)) * 1000
      this.#learned.learn(source, target.name, target.grants, untilMs)
    }
  }
}

export function verdictOf({ query, asker, grants, isLearned }: Request): Verdict {
  if (grants.length === 0 && !(asker.anyName && query.dotted !== undefined)) return 'denied'
  return isAskable(query.type, asker, isLearned) ? 'allowed' : 'wrong-type'
}

/** The grants of the asker's policies, which mostly are all of them. */
function ownGrants({ policies }: Asker, grants: readonly Grant[]): readonly Grant[] {
  for (const { policy } of grants)
    if (!policies.includes(policy)) return grants.filter((grant) => policies.includes(grant.policy))
  return grants
}
