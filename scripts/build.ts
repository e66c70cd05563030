import { chmodSync, copyFileSync, existsSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')
const outfile = join(root, 'dist', 'embargod.cjs')

/** What the engine's client loads for ssh and for BuildKit sessions, which we never use: a third of the bundle, and 15 MB of memory. */
const NEVER_USED = /^(ssh2|@grpc\/grpc-js|@grpc\/proto-loader|protobufjs)$/

const withoutTheUnused: Plugin = {
  name: 'without-the-unused',
  setup(building) {
    building.onResolve({ filter: NEVER_USED }, ({ path }) => ({ path, namespace: 'unused' }))
    building.onLoad({ filter: /.*/, namespace: 'unused' }, () => ({ contents: 'module.exports = {}' }))
  },
}

/** One CommonJS file that any Node from 20.19 on runs, without node_modules. */
await build({
  entryPoints: [join(root, 'src', 'main.ts')],
  outfile,
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  plugins: [withoutTheUnused],
  // node-cron asks for its own place, which a CommonJS file has no import.meta for.
  define: { 'import.meta.url': '__bundleUrl' },
  banner: {
    js: "#!/usr/bin/env node\nconst __bundleUrl = require('node:url').pathToFileURL(__filename).href;",
  },
  legalComments: 'none',
  logLevel: 'warning',
})
chmodSync(outfile, 0o755)

// What no bundle can hold. Where there is none for this machine the program does without.
const { arch } = process
const native = join(root, 'node_modules/@koromix', `koffi-linux-${arch}`, `linux_${arch}`, 'koffi.node')
const beside = join(root, 'dist', 'koffi.node')
rmSync(beside, { force: true })
if (existsSync(native)) copyFileSync(native, beside)
console.log(`dist/embargod.cjs: ${Math.round(statSync(outfile).size / 1024)} KiB`)
