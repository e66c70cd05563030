import type { Family } from '../../net/types.ts'
import { settingsOfDaemonJson } from './daemon-json.ts'
import { configFileOf, type DockerdProcess } from './dockerd-process.ts'
import type { JsonObject } from '../json.ts'
import type { Engine } from '../model.ts'
import { errorMessage } from '../../system/errors.ts'

/** Does the engine keep rules in iptables, by family? Undefined: that cannot be told. */
export type EngineSwitches = Readonly<Record<Family, boolean | undefined>>

export const UNKNOWN_SWITCHES: EngineSwitches = { 4: undefined, 6: undefined }

export interface FoundSwitches {
  readonly switches: EngineSwitches
  /** Why they are not known, though there is an engine. */
  readonly problem: string | undefined
}

export interface SwitchSources {
  /** The engine behind the socket, or all processes that may be it. */
  readonly dockerds: readonly DockerdProcess[]
  readonly engine: Engine | undefined
  /** The text of the engine's config file; undefined when there is none. Rejects when it cannot be read or trusted. */
  readonly readConfig: (path: string) => Promise<string | undefined>
}

/** Reads the switches from the engine's command line and config file. An engine whose process is not seen may be another program altogether. */
export async function engineSwitches({
  dockerds,
  engine,
  readConfig,
}: SwitchSources): Promise<FoundSwitches> {
  const [dockerd, ...others] = dockerds
  if (!dockerd || others.length > 0 || !engine) return { switches: UNKNOWN_SWITCHES, problem: undefined }
  const path = configFileOf(dockerd)
  try {
    const settings = settingsOfDaemonJson(await readConfig(path))
    return { switches: switchesOf(dockerd, settings, engine.version), problem: undefined }
  } catch (error) {
    const why = errorMessage(error)
    return { switches: UNKNOWN_SWITCHES, problem: `reading ${path}: ${why}` }
  }
}

function switchesOf(dockerd: DockerdProcess, settings: JsonObject, version: string): EngineSwitches {
  const told = (name: 'iptables' | 'ip6tables'): boolean | undefined => {
    const value = dockerd[name] ?? settings[name]
    return typeof value === 'boolean' ? value : undefined
  }
  if (told('iptables') === false) return { 4: false, 6: told('ip6tables') === false ? false : undefined }
  // Before 27 it was off by default, and the switch counted only with experimental features.
  const six = told('ip6tables') ?? true
  return { 4: true, 6: six && majorOf(version) < 27 ? undefined : six }
}

/** A version that is no number counts as an old one. */
const majorOf = (version: string): number => Number(/^\d+/.exec(version)?.[0] ?? 0)
