import { readdirSync, readlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { rssMb, treeOf } from '../../bench/cpu.ts'
import type { SoakHost } from './host.ts'

/** What the daemon holds at one moment. */
export interface Sample {
  /** Since the soak began, in seconds. */
  readonly atS: number
  readonly pid: number
  readonly rssMb: number
  readonly fds: number
  readonly sockets: number
  /** Processes below the daemon. */
  readonly children: number
  /** The event loop's mean delay since the sample before, in ms. */
  readonly lagMs: number
  /** Ours in the kernel, of both families. */
  readonly chains: number
  readonly sets: number
}

const LOOKS = 10

/** Takes a second. Of what comes and goes with every pass, the least of ten looks counts: that is what stays. */
export async function sample(host: SoakHost, atS: number, lagMs: number): Promise<Sample> {
  const { pid } = host.daemon
  if (pid === undefined) throw new Error(`the daemon has ended\n${host.daemon.logs.slice(-2000)}`)
  const looks = []
  for (let look = 0; look < LOOKS; look += 1) {
    looks.push({ rss: rssMb(pid), children: treeOf(pid).length - 1, ...openFiles(pid) })
    await sleep(100)
  }
  return {
    atS,
    pid,
    rssMb: Math.min(...looks.map(({ rss }) => rss)),
    fds: Math.min(...looks.map(({ fds }) => fds)),
    sockets: Math.min(...looks.map(({ sockets }) => sockets)),
    children: Math.min(...looks.map(({ children }) => children)),
    lagMs,
    ...(await ours(host)),
  }
}

/** How many chains and sets are ours. */
export async function ours({ lab }: SoakHost): Promise<{ readonly chains: number; readonly sets: number }> {
  const { stdout } = await lab.host(['sh', '-c', 'iptables-save; ip6tables-save; ipset list -n'])
  const lines = stdout.split('\n')
  return {
    chains: lines.filter((line) => line.startsWith(':EMBARGOD')).length,
    sets: lines.filter((line) => line.startsWith('embargod-')).length,
  }
}

function openFiles(pid: number): { readonly fds: number; readonly sockets: number } {
  const targets = readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      // Closed since the folder was read.
      return []
    }
  })
  return { fds: targets.length, sockets: targets.filter((target) => target.startsWith('socket:')).length }
}
