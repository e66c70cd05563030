import { posix } from 'node:path'

/** One spelling for each place: `/var/run` is a link to `/run` on every host of Docker today. */
export const canonicalPath = (path: string): string => {
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, '')
  return normal === '/var/run' || normal.startsWith('/var/run/') ? normal.slice('/var'.length) : normal
}

/** Does a mount of `source` show what lies at `path`? True for the path itself and for every directory above it. */
export const exposes = (source: string, path: string): boolean => {
  const above = canonicalPath(source)
  const below = canonicalPath(path)
  // A mount of /var shows only the link to /run, not what is behind it.
  return above === '/' || below === above || below.startsWith(`${above}/`)
}
