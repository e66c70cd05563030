import { join } from 'node:path'

/** Names of the directories in a directory; none where there is no such directory. */
export type ListDirectories = (path: string) => Promise<readonly string[]>

/** What the engine calls a container's group: with the systemd driver, and with its own. */
const SCOPE = /^docker-([0-9a-f]{64})\.scope$/
const PLAIN = /^([0-9a-f]{64})$/
/** Where the engine's own driver makes groups if nobody says otherwise. Elsewhere a bare number may be another runtime's. */
const PLAIN_PARENT = 'docker'
/** Groups of people and of machines inside this one, who may have engines of their own. */
const NOT_OURS = new Set(['user.slice', 'machine.slice'])
/** Slices lie in slices, as deep as somebody names them. */
const DEEPEST = 5

/**
 * The groups that bear the names of containers, by the container's id: known before the engine tells of the container, and where it tells
 * too little of it. Looks into slices only, so that its cost does not grow with the services of the host.
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
