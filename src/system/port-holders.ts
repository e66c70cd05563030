import { readdir, readlink } from 'node:fs/promises'
import { readIfThere } from './read-file.ts'

/** Somebody else's UDP socket. */
export interface PortHolder {
  readonly inode: string
  readonly uid: number
  /** Undefined: we may not look at the process. */
  readonly pid: number | undefined
}

/**
 * Who beside this process has a UDP socket at a port of this network namespace: each takes a part of what arrives there, or all of it. Of TCP the kernel
 * lets nobody listen beside a listener.
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

/** Of a table of sockets, as the kernel prints it. */
export function socketsAt(port: number, table: string): { inode: string; uid: number }[] {
  const ending = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  return table.split('\n').flatMap((line) => {
    const [, local, , , , , , uid, , inode] = line.trim().split(/\s+/)
    return local?.endsWith(ending) && inode !== undefined ? [{ inode, uid: Number(uid) }] : []
  })
}

/** Some 60,000 sockets: whoever opens more of them cannot hide among them, since nobody looks further. */
const MOST_BYTES = 8 << 20

/** Empty where the kernel has no such family. */
const textOf = async (path: string): Promise<string> =>
  (await readIfThere(path, { maxBytes: MOST_BYTES })) ?? ''

/** The inodes of all sockets that a process has open; none where it is gone, or not ours to look at. */
async function socketsOf(process: string): Promise<string[]> {
  const fds = await readdir(`${process}/fd`).catch(() => [])
  const links = await Promise.all(fds.map((fd) => readlink(`${process}/fd/${fd}`).catch(() => '')))
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? [])
}

/** Looked for one process after the other: it is done for somebody who should not be there. */
async function processWith(inode: string, proc: string): Promise<number | undefined> {
  for (const pid of (await readdir(proc)).filter((entry) => /^\d+$/.test(entry)))
    if ((await socketsOf(`${proc}/${pid}`)).includes(inode)) return Number(pid)
  return undefined
}
