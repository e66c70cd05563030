import type { Logger } from '../observe/logger.ts'
import { Loop } from '../reconcile/loop.ts'
import type { Part } from '../targets/keeper.ts'
import type { ServiceManager } from '../system/systemd.ts'
import type { UndoStack } from '../system/undo-stack.ts'
import { Health } from './health.ts'
import { ReadPlan } from './read-plan.ts'
import { ServiceStatus } from './service-status.ts'
import { StallWatch } from './stall-watch.ts'
import { Telemetry } from './telemetry.ts'

/** The parts that depend on no other: all others report to them or request passes. */
export interface Core {
  readonly startedAtMs: number
  readonly log: Logger
  readonly health: Health
  readonly serviceStatus: ServiceStatus
  readonly telemetry: Telemetry
  readonly loop: Loop
  readonly stallWatch: StallWatch
  readonly readPlan: ReadPlan
  /** Something changed in this part of the rules, undefined: anywhere. A pass looks at it. */
  readonly suspect: (part: Part | undefined) => void
}

export function createCore(
  { log, service, stop }: { log: Logger; service: ServiceManager; stop: AbortSignal },
  undo: UndoStack,
): Core {
  const serviceStatus = new ServiceStatus(service)
  let announced = Promise.resolve()
  stop.addEventListener('abort', () => {
    announced = serviceStatus.stopping()
  })
  undo.add(() => announced)
  const health = new Health((concern, problem, problems) => {
    if (problem === undefined) log.info({ concern }, 'recovered')
    else log.warn({ concern, problem }, 'degraded')
    serviceStatus.setProblems(problems)
  })
  const loop = new Loop()
  const stallWatch = new StallWatch({ loop, health })
  undo.add(() => stallWatch.stop())
  const readPlan = new ReadPlan(performance.now())
  const suspect = (part: Part | undefined): void => {
    readPlan.suspect(part)
    loop.request('drift')
  }
  return {
    startedAtMs: Date.now(),
    log,
    health,
    serviceStatus,
    telemetry: new Telemetry(health, log),
    loop,
    stallWatch,
    readPlan,
    suspect,
  }
}
