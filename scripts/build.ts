import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const outfile = join(root, 'dist', 'embargod.cjs')

/** One CommonJS file that any Node from 20.19 on runs, without node_modules. */
await build({
  entryPoints: [join(root, 'src', 'main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  // cpu-features is an optional native part of the ssh transport, which we never use.
  external: ['cpu-features'],
  loader: { '.node': 'empty' },
  // node-cron asks for its own place, which a CommonJS file has no import.meta for.
  define: { 'import.meta.url': '__bundleUrl' },
  banner: {
    js: "#!/usr/bin/env node\nconst __bundleUrl = require('node:url').pathToFileURL(__filename).href;",
  },
  legalComments: 'none',
  logLevel: 'warning',
})
chmodSync(outfile, 0o755)
console.log(`dist/embargod.cjs: ${Math.round(statSync(outfile).size / 1024)} KiB`)
