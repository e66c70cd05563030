import { patternOf } from '../net/pattern.ts'
import type { AllowTarget } from './model.ts'

/** A target as an operator would write it. */
export function targetText(target: AllowTarget): string {
  switch (target.kind) {
    case 'domain':
      return target.name
    case 'wildcard':
      return patternOf(target.suffix, target.depth)
    case 'cidr':
      return target.cidr
    case 'internet':
      return 'internet'
    default:
      return target satisfies never
  }
}
