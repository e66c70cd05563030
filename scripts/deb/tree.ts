import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { gzipSync } from 'node:zlib'
import { renderManPage } from './man-page.ts'
import { debianChangelog, thirdPartyLicenses } from './texts.ts'

export interface PackageFacts {
  readonly version: string
  /** Debian's word for the processor. */
  readonly architecture: string
  readonly maintainer: string
  /** Every file bears it, so that two builds of the same sources are one file. */
  readonly date: Date
}

const SCRIPTS = ['postinst', 'prerm', 'postrm'] as const
/** For operators; pages about the tests and the inside are not among them. */
const DOCS = [
  'commands.md',
  'compatibility.md',
  'config.md',
  'configure.md',
  'debugging.md',
  'gateway.md',
  'glossary.md',
  'limits.md',
  'marks.md',
  'metrics.md',
  'operate.md',
  'package.md',
  'policies.md',
  'systemd.md',
  'troubleshooting.md',
]

/** Lays out what the package installs, all but the executable, and how dpkg is told about it. */
export async function layOut(
  root: string,
  tree: string,
  facts: PackageFacts,
  nodeLicense: string,
): Promise<void> {
  const debian = join(root, 'deploy/debian')
  const place = async (path: string, content: string | Buffer, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await writeFile(join(tree, path), content)
    await chmod(join(tree, path), mode)
  }
  const copy = async (from: string, path: string): Promise<void> => {
    await mkdir(dirname(join(tree, path)), { recursive: true })
    await copyFile(from, join(tree, path))
    await chmod(join(tree, path), 0o644)
  }
  // Without a name and a time in its header.
  const zipped = (text: string): Buffer => gzipSync(text, { level: 9 })

  for (const unit of [
    'embargod.service',
    'embargod-early.service',
    'embargod-saved-sets.service',
    'embargod-dns.socket',
    'embargod-dns.service',
  ])
    await copy(join(root, 'systemd', unit), `usr/lib/systemd/system/${unit}`)
  await copy(join(debian, 'embargod.yaml'), 'etc/embargod/embargod.yaml')
  await mkdir(join(tree, 'etc/embargod/conf.d'), { recursive: true })

  const doc = 'usr/share/doc/embargod'
  for (const page of DOCS) await copy(join(root, 'docs', page), `${doc}/${page}`)
  await copy(join(root, 'deploy/embargod.example.yaml'), `${doc}/examples/embargod.yaml`)
  await copy(
    join(root, 'deploy/docker-require-embargod.conf'),
    `${doc}/examples/docker-require-embargod.conf`,
  )
  await copy(join(debian, 'copyright'), `${doc}/copyright`)
  await place(`${doc}/third-party-licenses.gz`, zipped(thirdPartyLicenses(root, nodeLicense)))
  const changelog = await readFile(join(root, 'CHANGELOG.md'), 'utf8')
  await place(`${doc}/changelog.gz`, zipped(debianChangelog(changelog, facts)))
  await place('usr/share/man/man8/embargod.8.gz', zipped(renderManPage(facts.version, facts.date)))
  await copy(join(debian, 'lintian-overrides'), 'usr/share/lintian/overrides/embargod')

  await place('DEBIAN/md5sums', await md5sums(tree))
  await place('DEBIAN/conffiles', '/etc/embargod/embargod.yaml\n')
  for (const script of SCRIPTS)
    await place(`DEBIAN/${script}`, await readFile(join(debian, script), 'utf8'), 0o755)
  const control = await readFile(join(debian, 'control'), 'utf8')
  const values: Readonly<Record<string, string>> = {
    version: facts.version,
    architecture: facts.architecture,
    maintainer: facts.maintainer,
    installedSize: String(await kibibytes(tree)),
  }
  await place(
    'DEBIAN/control',
    control.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => values[name] ?? ''),
  )
}

/** Gives every file and folder one modification time and the mode of a folder that all may enter. */
export async function settle(tree: string, date: Date): Promise<void> {
  for (const entry of await readdir(tree, { withFileTypes: true, recursive: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isDirectory()) await chmod(path, 0o755)
    await utimes(path, date, date)
  }
  await chmod(tree, 0o755)
  await utimes(tree, date, date)
}

async function kibibytes(tree: string): Promise<number> {
  const files = await installedFiles(tree)
  const sizes = await Promise.all(files.map(async (file) => (await stat(join(tree, file))).size))
  return sizes.reduce((sum, size) => sum + Math.ceil(size / 1024), 0)
}

/** What `dpkg --verify` compares with: all but configuration. */
async function md5sums(tree: string): Promise<string> {
  const files = (await installedFiles(tree)).filter((file) => !file.startsWith('etc/'))
  const lines = files.map(async (file) => {
    const sum = createHash('md5')
      .update(await readFile(join(tree, file)))
      .digest('hex')
    return `${sum}  ${file}\n`
  })
  return (await Promise.all(lines)).join('')
}

async function installedFiles(tree: string): Promise<string[]> {
  const entries = await readdir(tree, { withFileTypes: true, recursive: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(tree, join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('DEBIAN/'))
    .toSorted()
}
