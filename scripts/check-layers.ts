import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, relative } from 'node:path'

/**
 * Lowest first. A folder may import only from rows above it and from itself. Each target of the kernel is a folder of its own
 * in one row, so that none knows another.
 */
const LAYERS: readonly (readonly string[])[] = [
  ['net'],
  ['system'],
  ['dns'],
  ['config', 'resolve', 'workloads'],
  ['policy'],
  ['dataplane', 'gateway'],
  ['targets', 'targets/nftables'],
  [
    'targets/ipset',
    'targets/iptables',
    'targets/backstop',
    'targets/bindings',
    'targets/bridges',
    'targets/host-network',
    'targets/conntrack',
    'targets/start-hold',
  ],
  ['reconcile'],
  ['observe'],
  ['control'],
  ['cli', 'state'],
  ['host'],
  ['status'],
  ['proof'],
  ['daemon', 'inspect'],
]

/** Files at the top that import nothing of ours and that anybody may import. */
const TOP_LEAVES = ['version.ts', 'signals.ts']

/** Files that only compute: nothing that they load may bring a clock, a process, a file or a log. */
const PURE =
  /^(policy|dataplane|net)\/|^resolve\/(address-store|name-record|address-pool|schedule)\.ts$|^workloads\/(inventory|guarded|unprotected\/\w+|docker\/(events|read-queue|renames))\.ts$/
const IMPURE_MODULES =
  /^(node:)?(fs|fs\/promises|child_process|timers|timers\/promises|dns|dns\/promises|http|dgram)$|^(execa|pino|dockerode|node-cron|prom-client)$/
const IMPURE_CALLS =
  /\b(Date\.now\(|new Date\(\)|setTimeout\(|setInterval\(|setImmediate\(|performance\.now\(|process\.)/

/** The observer looks at shapes, never at machinery. */
const MODEL_FILE = /\/(model|types|status)\.ts$/

interface Import {
  readonly from: string
  readonly typeOnly: boolean
}

const root = join(import.meta.dirname, '..', 'src')

function importsOf(text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?['"]([^'"]+)['"]/gm)
  const dynamic = text.matchAll(/\bimport\(\s*['"]([^'"]+)['"]\s*\)/g)
  return [
    ...[...statements].map((match) => ({ from: match[2] ?? '', typeOnly: match[1] !== undefined })),
    ...[...dynamic].map((match) => ({ from: match[1] ?? '', typeOnly: false })),
  ]
}

const files = new Map<string, string>()
for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
  if (entry.endsWith('.ts')) files.set(entry, readFileSync(join(root, entry), 'utf8'))
}

function folderOf(file: string): string | undefined {
  const folder = dirname(file)
  if (folder === '.') return undefined
  return folder.startsWith('targets/') ? folder : folder.split('/')[0]
}
const rankOf = (folder: string): number => LAYERS.findIndex((layer) => layer.includes(folder))
const resolveFrom = (file: string, specifier: string): string =>
  relative(root, normalize(join(root, dirname(file), specifier)))

const problems: string[] = []

function checkDirection(file: string, imported: Import): void {
  if (!imported.from.startsWith('.')) return
  const folder = folderOf(file)
  const target = resolveFrom(file, imported.from)
  if (!files.has(target)) {
    if (!target.startsWith('..')) problems.push(`${file}: ${imported.from} does not exist`)
    return
  }
  const targetFolder = folderOf(target)
  if (folder === undefined || folder === targetFolder || rankOf(folder) === -1) return
  if (TOP_LEAVES.includes(target)) return
  if (targetFolder === undefined) {
    problems.push(`${file}: imports ${target}, which stands at the top`)
    return
  }
  if (rankOf(folder) <= rankOf(targetFolder))
    problems.push(`${file}: imports ${target}, which is not below it`)
  if (folder === 'observe' && targetFolder !== 'net' && !MODEL_FILE.test(target)) {
    problems.push(`${file}: imports ${target}; the observer knows models only`)
  }
}

/** Everything that loading `file` loads, as [who, what] pairs. */
function loads(file: string, seen = new Set<string>()): [string, string][] {
  if (seen.has(file)) return []
  seen.add(file)
  return importsOf(files.get(file) ?? '').flatMap((imported): [string, string][] => {
    if (imported.typeOnly) return []
    if (!imported.from.startsWith('.')) return [[file, imported.from]]
    return loads(resolveFrom(file, imported.from), seen)
  })
}

function checkPurity(file: string, text: string): void {
  for (const [who, what] of loads(file)) {
    if (IMPURE_MODULES.test(what)) problems.push(`${file}: only computes, but loads ${what} (in ${who})`)
  }
  text.split('\n').forEach((line, index) => {
    const code = line.replace(/\/\/.*|^\s*\*.*|\/\*.*/, '')
    const call = IMPURE_CALLS.exec(code)?.[1]
    if (call !== undefined)
      problems.push(`${file}:${index + 1}: only computes, but calls ${call.replace('(', '')}`)
  })
}

for (const [file, text] of files) {
  const folder = folderOf(file)
  if (folder !== undefined && rankOf(folder) === -1) problems.push(`${file}: folder ${folder} has no layer`)
  for (const imported of importsOf(text)) checkDirection(file, imported)
  if (PURE.test(file)) checkPurity(file, text)
}

for (const problem of problems) console.error(`src/${problem}`)
console.log(`layers: ${files.size} files, ${problems.length} problems`)
process.exitCode = problems.length === 0 ? 0 : 1
