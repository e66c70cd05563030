import type { Hostname } from '../net/types.ts'
import { publicSuffixKind } from './public-suffix.ts'
import type { Wildcard } from './wildcard.ts'

/** Names under which anyone can rent a place: their addresses serve all tenants alike, so allowing one name allows them all. */
const SHARED: readonly string[] = [
  'amazonaws.com',
  'azureedge.net',
  'azurefd.net',
  'azurewebsites.net',
  'b-cdn.net',
  'backblazeb2.com',
  'blob.core.windows.net',
  'cloudapp.azure.com',
  'cloudfront.net',
  'cloudfunctions.net',
  'digitaloceanspaces.com',
  'discord.com',
  'fastly.net',
  'firebaseio.com',
  'fly.dev',
  'github.io',
  'githubusercontent.com',
  'gitlab.io',
  'herokuapp.com',
  'netlify.app',
  'ngrok.io',
  'ngrok-free.app',
  'onrender.com',
  'pages.dev',
  'pastebin.com',
  'r2.cloudflarestorage.com',
  'run.app',
  'storage.googleapis.com',
  'trycloudflare.com',
  'vercel.app',
  'web.app',
  'workers.dev',
]

/** The shared suffix that a name is or lies under. */
export const sharedSuffix = (name: Hostname): string | undefined =>
  SHARED.find((suffix) => name === suffix || name.endsWith(`.${suffix}`))

/** The suffix at or under which a wildcard takes in names of any tenant. */
export function rentedBelow({ suffix, depth }: Wildcard): string | undefined {
  if (publicSuffixKind(suffix) === 'tenants') return suffix
  return SHARED.find((shared) => {
    if (shared === suffix) return true
    if (!shared.endsWith(`.${suffix}`)) return false
    return depth === 'any' || !shared.slice(0, -suffix.length - 1).includes('.')
  })
}
