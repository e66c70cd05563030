import { readdir, readlink } from 'node:fs/promises'
import { readIfThere } from './read-file.ts'

/** A UDP socket of another process. */
export interface PortHolder {
  readonly inode: string
  readonly uid: number
  /** Undefined: we may not look at the process. */
  readonly pid: number | undefined
}

/**
 * The UDP sockets that other processes have at a port of this network namespace: each receives a part of the packets, or all of them. For TCP the
 * kernel allows no second listener.
 * @throws where the table cannot be read, or is larger than 8 MiB
 */
export async function otherHolders(port: number, proc = '/proc'): Promise<PortHolder[]> {
  const tables = await Promise.all(['udp', 'udp6'].map((table) => textOf(`${proc}/net/${table}`)))
  const found = tables.flatMap((text) => socketsAt(port, text))
  if (found.length === 0) return []
  const own = new Set(await socketsOf(`${proc}/self`))
  const others = found.filter(({ inode }) => !own.has(inode))
  return Promise.all(others.map(async (one) => ({ ...one, pid: await processWith(one.inode, proc) })))
}

/** The sockets in a table, as the kernel prints it. */
export function socketsAt(port: number, table: string): { inode: string; uid: number }[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').flatMap((line) => {
    const [, local, , , , , , uid, , inode] = line.trim().split(/\s+/)
    return local?.endsWith(ending) && inode !== undefined ? [{ inode, uid: Number(uid) }] : []
  })
}

/** A table of some 60,000 sockets. A longer one is an error, so no socket can hide behind many others. */
const MOST_BYTES = 8 << 20

/** Empty where the kernel does not have the family. */
const textOf = async (path: string): Promise<string> =>
  (await readIfThere(path, { maxBytes: MOST_BYTES })) ?? ''

/** The inodes of all sockets that a process has open. Empty where it has ended, or where we may not look at it. */
async function socketsOf(process: string): Promise<string[]> {
  const fds = await readdir(`${process}/fd`).catch(() => [])
  const links = await Promise.all(fds.map((fd) => readlink(`${process}/fd/${fd}`).catch(() => '')))
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

/** Searches one process after the other. Speed does not matter, since no other process should be there. */
async function processWith(inode: string, proc: string): Promise<number | undefined> {
  for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry)))
    if ((await socketsOf(`${proc}/${pid}`)).includes(inode)) return Number(pid)
  return undefined
}
