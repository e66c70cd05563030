import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { closeBox, isAlive } from './box.ts'

/** Root alone can write on the way there, or the program under test would refuse its config. */
const LABS = '/srv'
const PREFIX = 'embargod-lab-'
const CGROUPS = '/sys/fs/cgroup'

/** What is needed to find a lab again and take it down; in `lab.json` of its directory. */
export interface LabRecord {
  readonly name: string
  readonly owner: number
  /** A kept lab outlives its owner. */
  readonly kept: boolean
  readonly hostPid: number
  readonly inetPid: number
}

export const directoryOf = (name: string): string => join(LABS, PREFIX + name)
export const cgroupOf = (name: string): string => `/${PREFIX}${name}`

export function writeRecord(record: LabRecord): void {
  writeFileSync(join(directoryOf(record.name), 'lab.json'), JSON.stringify(record))
}

/** Ends every process of a lab and removes its directory and cgroups. Synchronous: it also runs at exit. */
export function removeLab(name: string, pids: readonly number[]): void {
  for (const pid of pids) closeBox(pid)
  rmSync(directoryOf(name), { recursive: true, force: true, maxRetries: 20, retryDelay: 50 })
  removeCgroups(cgroupOf(name))
}

/** Labs found on this machine; `stale` says that their owner is gone and that nobody wanted them kept. */
export function findLabs(): (LabRecord & { readonly stale: boolean })[] {
  return readdirSync(LABS)
    .filter((entry) => entry.startsWith(PREFIX))
    .map((entry) => readRecord(entry.slice(PREFIX.length)))
    .map((record) => ({ ...record, stale: !record.kept && !isAlive(record.owner) }))
}

export function removeStaleLabs(): string[] {
  const stale = findLabs().filter((lab) => lab.stale)
  for (const lab of stale) takeDown(lab)
  return stale.map((lab) => lab.name)
}

export function takeDown(lab: LabRecord): void {
  removeLab(
    lab.name,
    [lab.hostPid, lab.inetPid].filter((pid) => isBoxHolder(pid)),
  )
}

/** Pids are used again: only a process that is one of ours is ended. */
function isBoxHolder(pid: number): boolean {
  try {
    return pid > 1 && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('lab/holder.pl')
  } catch {
    return false
  }
}

function readRecord(name: string): LabRecord {
  try {
    const record: LabRecord = JSON.parse(readFileSync(join(directoryOf(name), 'lab.json'), 'utf8'))
    return record
  } catch {
    // Its owner ended before it was written. The name begins with the owner's pid.
    return { name, owner: Number.parseInt(name, 10) || 0, kept: false, hostPid: 0, inetPid: 0 }
  }
}

function removeCgroups(cgroup: string): void {
  if (!existsSync(CGROUPS)) return
  for (const controller of readdirSync(CGROUPS)) removeTree(join(CGROUPS, controller, cgroup))
  removeTree(join(CGROUPS, cgroup))
}

/** A cgroup is removed like a directory, children first; busy for a moment after its last process ended. */
function removeTree(path: string): void {
  if (!existsSync(path)) return
  for (const entry of readdirSync(path, { withFileTypes: true }))
    if (entry.isDirectory()) removeTree(join(path, entry.name))
  const nap = new Int32Array(new SharedArrayBuffer(4))
  for (let tries = 0; tries < 100; tries += 1) {
    try {
      rmdirSync(path)
      return
    } catch {
      Atomics.wait(nap, 0, 0, 20)
    }
  }
}
