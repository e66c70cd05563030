import { lstat, readlink } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { inTime } from './file-deadline.ts'
import { ownershipFaults } from './read-file.ts'
import { errorMessage } from './errors.ts'

/** As the kernel. */
const MOST_LINKS = 40
const STICKY = 0o1000

/**
 * Why others than root may decide what a path leads to: a sentence about each directory on the way, links followed, that another user owns or can write to.
 * In a directory with the sticky bit, such as /tmp, other users cannot replace a file of root's, so there the next part of the path has to be root's. Without
 * faults root alone can change what the path leads to, and it may be opened afterwards. The check ends at a part that does not exist: opening it
 * will fail. A file system that does not answer in time is a fault, too.
 */
export async function pathFaults(path: string): Promise<string[]> {
  try {
    return await inTime('looking at the directories above it', () => faultsOnTheWay(path))
  } catch (error) {
    return [`cannot be judged: ${errorMessage(error)}`]
  }
}

async function faultsOnTheWay(path: string): Promise<string[]> {
  const faults: string[] = []
  const seen = new Set<string>()
  const enter = async (directory: string): Promise<void> => {
    if (seen.has(directory)) return
    seen.add(directory)
    const facts = await lstat(directory)
    // With the sticky bit, users who may write to it can add files, but not remove those of others.
    const mode = facts.mode & (facts.mode & STICKY ? ~0o022 : -1) & 0o7777
    for (const fault of ownershipFaults({ uid: facts.uid, mode }))
      faults.push(`lies in ${directory}, which ${fault.replace(/it$/, directory)}`)
  }
  let links = 0
  let here = '/'
  let ahead = partsOf(isAbsolute(path) ? path : join(process.cwd(), path))
  try {
    await enter(here)
    for (;;) {
      const [name, ...rest] = ahead
      if (name === undefined) return faults
      ahead = rest
      const next = join(here, name)
      const facts = await lstat(next)
      if (facts.uid !== 0 && !facts.isDirectory())
        faults.push(`leads by ${next}, which belongs to user ${facts.uid}`)
      if (facts.isSymbolicLink()) {
        if ((links += 1) > MOST_LINKS) return faults
        // A link is as trustworthy as the directory that it lies in.
        const target = await readlink(next)
        if (isAbsolute(target)) here = '/'
        ahead = [...partsOf(target), ...rest]
      } else {
        if (rest.length === 0 && name !== '..') return faults
        here = next
        await enter(here)
      }
    }
  } catch {
    return faults
  }
}

/** Keeps `..`, since behind a link it leads elsewhere than the text says. */
const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')
