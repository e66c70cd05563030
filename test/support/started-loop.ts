import { Loop, type Pass } from '../../src/reconcile/loop.ts'

export function startedLoop(pass: Pass, ...options: ConstructorParameters<typeof Loop>): Loop {
  const loop = new Loop(...options)
  loop.start(pass)
  return loop
}
