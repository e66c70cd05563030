import type { GatewayConfig } from '../config/model.ts'

export type TtlLimits = Pick<GatewayConfig, 'minTtlMs' | 'maxTtlMs'>

/** What a client is told of an answer that is older than it should be (RFC 8767). */
const STALE_TTL_SECONDS = 30

/** In seconds, as clients are told. */
export const boundedTtl = (ttlSeconds: number, { minTtlMs, maxTtlMs }: TtlLimits): number =>
  Math.floor(Math.min(Math.max(ttlSeconds * 1000, minTtlMs), maxTtlMs) / 1000)

/** What records' TTLs become in an answer of this age. */
export const ttlAfter =
  (ageSeconds: number, limits: TtlLimits) =>
  (ttlSeconds: number): number =>
    Math.max(0, boundedTtl(ttlSeconds, limits) - ageSeconds)

export const staleTtl = (): number => STALE_TTL_SECONDS
