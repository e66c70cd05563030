import { portList } from '../net/ports.ts'
import { burstOf } from './mail-budget.ts'
import type { AllowEntry, Config, PolicyConfig, SmtpConfig } from './model.ts'
import type { ConfigOutput } from './schema.ts'

/** The config as the daemon uses it: durations by their units, defaults filled in, list files expanded by `allowOf`. */
export function toConfig(read: ConfigOutput, allowOf: (owner: string) => readonly AllowEntry[]): Config {
  const { resolver, smtp } = read
  const { holdNew: holdNewMs, hostServices, ...guard } = read.guard
  return {
    denyWith: read.denyWith,
    docker: read.docker,
    guard: { ...guard, holdNewMs, hostServices: toHostServices(hostServices) },
    resolver: {
      servers: resolver.servers,
      timeoutMs: resolver.timeout,
      refresh: { minMs: resolver.refresh.min, maxMs: resolver.refresh.max },
      sweep: resolver.sweep,
      maxQueriesPerSecond: resolver.maxQueriesPerSecond,
      retainMs: resolver.retain,
      maxStaleMs: resolver.maxStale,
      maxAddressesPerName: resolver.maxAddressesPerName,
    },
    dns: toDns(read.dns),
    allow: allowOf(''),
    policies: Object.entries(read.policies).map(([id, policy]): PolicyConfig => ({
      id,
      match: [policy.match ?? []].flat(),
      allow: allowOf(id),
      inherit: policy.inherit,
      metadata: policy.metadata,
      attachable: policy.attachable,
      smtp: policy.smtp && toSmtp(policy.smtp),
      denyWith: policy.denyWith,
    })),
    never: read.never,
    metadata: read.metadata,
    smtp: smtp && toSmtp(smtp),
    log: read.log,
    metrics: read.metrics,
    verify: { everyMs: read.verify.every },
    state: read.state,
  }
}

const toDns = ({ maxHold, minTtl, maxTtl, ...rest }: ConfigOutput['dns']): Config['dns'] => ({
  ...rest,
  maxHoldMs: maxHold,
  minTtlMs: minTtl,
  maxTtlMs: maxTtl,
})

const toSmtp = ({
  ports,
  rate,
  burst,
  per,
  destinations,
}: NonNullable<ConfigOutput['smtp']>): SmtpConfig => ({
  ports: [...new Set(ports)].toSorted((a, b) => a - b),
  rate,
  burst: burstOf({ rate, burst }),
  per,
  destinations,
})

function toHostServices(read: ConfigOutput['guard']['hostServices']): Config['guard']['hostServices'] {
  if (read === 'all' || read.includes('all')) return 'all'
  return {
    published: read.includes('published'),
    ports: portList(read.flatMap((service) => (typeof service === 'string' ? [] : service))),
  }
}
