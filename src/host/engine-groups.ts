import { join } from 'node:path'

/** Names of the directories in a directory; none where there is no such directory. */
export type ListDirectories = (path: string) => Promise<readonly string[]>

/** What the engine calls a container's group: with the systemd driver, and with its own. */
const SCOPE = /^docker-([0-9a-f]{64})\.scope$/
const PLAIN = /^([0-9a-f]{64})$/
/** Where the engine's own driver makes groups by default. Elsewhere a bare id may be another runtime's. */
const PLAIN_PARENT = 'docker'
/** Groups of users and of virtual machines. They may have engines of their own. */
const NOT_OURS = new Set(['user.slice', 'machine.slice'])
/** Slices are nested as deep as their names say. */
const DEEPEST = 5

/**
 * Control groups that are named after containers, by the container's id. They are there before the engine sends an event about the container, and
 * where the engine does not tell the container's process. Looks into slices only, so that the cost does not grow with the services of the host.
 */
export async function findEngineGroups(
  root: string,
  list: ListDirectories,
): Promise<ReadonlyMap<string, readonly string[]>> {
  const found = new Map<string, string[]>()
  const look = async (path: string, depth: number): Promise<void> => {
    const names = await list(join(root, path))
    const named = path === PLAIN_PARENT ? PLAIN : SCOPE
    for (const name of names) {
      const id = named.exec(name)?.[1]
      if (id !== undefined) found.set(id, [...(found.get(id) ?? []), join(path, name)])
    }
    if (depth === DEEPEST) return
    const slices = names.filter((name) => isSlice(name) || (path === '' && name === PLAIN_PARENT))
    await Promise.all(slices.map((name) => look(join(path, name), depth + 1)))
  }
  await look('', 0)
  return found
}

const isSlice = (name: string): boolean =>
  name.endsWith('.slice') && !NOT_OURS.has(name) && /^[A-Za-z0-9:_.@-]+$/.test(name)
