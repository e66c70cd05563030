/** The control group of a container's processes, or why it is not known. */
export type GroupPlace = { readonly path: string } | { readonly why: string }

/**
 * Text of `/proc/<pid>/cgroup` → the group that the engine made for the container. Its processes may be in groups of their own below it.
 * Where the process number now belongs to another program, the text shows another group.
 */
export function groupPlaceOf(text: string, id: string): GroupPlace {
  const path = /^0::(\/.*)$/m.exec(text)?.[1]
  if (path === undefined) return { why: 'its process is in no group of cgroup v2' }
  if (path.startsWith('/..'))
    return { why: 'embargod runs in a cgroup namespace of its own: start it with --cgroupns host' }
  const parts = path.slice(1).split('/')
  const own = parts.findIndex((part) => part.includes(id))
  if (own === -1) return { why: 'its process is not in a group of the name that the engine gives' }
  const found = parts.slice(0, own + 1)
  // The path is put into a rule, so only the characters pass that engines and systemd use.
  return found.every((part) => /^[A-Za-z0-9:_.@-]+$/.test(part))
    ? { path: found.join('/') }
    : { why: 'the name of its control group cannot stand in a rule' }
}
