import { posix } from 'node:path'

/** One spelling for one place: `/var/run` is a link to `/run` wherever Docker runs today. */
export const canonicalPath = (path: string): string => {
  const normal = posix.normalize(path).replace(/(?<=.)\/$/, '')
  return normal === '/var/run' || normal.startsWith('/var/run/') ? normal.slice('/var'.length) : normal
}

/** Does a mount of `source` show what lies at `path`? True for the thing itself and for every directory above it. */
export const exposes = (source: string, path: string): boolean => {
  const above = canonicalPath(source)
  const below = canonicalPath(path)
  // /var holds the link to /run, not the socket itself: nothing is seen through it.
  return above === '/' || below === above || below.startsWith(`${above}/`)
}
