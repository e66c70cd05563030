import { lstat, readlink } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { ownershipFaults } from './read-file.ts'

/** As the kernel. */
const MOST_LINKS = 40

/**
 * Why others than root may decide what a path leads to: a sentence about each directory on the way, links followed, that somebody else owns or can write.
 * The sticky bit is no excuse: it lets anybody put a file there that is not there yet. Where there are no faults, root alone can change what the path
 * leads to, so it may be opened afterwards. What is not there ends the way: opening it says so.
 */
export async function pathFaults(path: string): Promise<string[]> {
  const faults: string[] = []
  const seen = new Set<string>()
  const enter = async (directory: string): Promise<void> => {
    if (seen.has(directory)) return
    seen.add(directory)
    const facts = await lstat(directory)
    for (const fault of ownershipFaults({ uid: facts.uid, mode: facts.mode & 0o7777 }))
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
      if (facts.isSymbolicLink()) {
        if ((links += 1) > MOST_LINKS) return faults
        // What the link itself says is as trustworthy as the directory that holds it.
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

/** `..` stays: behind a link it leads elsewhere than the text says. */
const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')
