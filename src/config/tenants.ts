import type { Hostname } from '../net/types.ts'

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
