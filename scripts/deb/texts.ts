import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Debian's changelog for one version, from the section of that version in `CHANGELOG.md`. */
export function debianChangelog(
  changelog: string,
  of: { readonly version: string; readonly maintainer: string; readonly date: Date },
): string {
  const { version, maintainer, date } = of
  const released = version.split(/[+~-]/)[0]
  const section = changelog.split(/^## /m).find((text) => text.startsWith(`${released}\n`)) ?? ''
  const paragraphs = section
    .split(/\n{2,}/)
    .slice(1)
    .map((paragraph) => paragraph.trim().replace(/^[-*] /, ''))
    .filter((paragraph) => paragraph !== '' && !paragraph.startsWith('#'))
  const entries = paragraphs.length > 0 ? paragraphs : ['See the history of the sources.']
  const day = date.toUTCString().replace('GMT', '+0000')
  return [
    `embargod (${version}) stable; urgency=medium`,
    '',
    ...entries.map((entry) => wrap(entry, 74).map((line, i) => `${i === 0 ? '  * ' : '    '}${line}`)).flat(),
    '',
    ` -- ${maintainer}  ${day}`,
    '',
  ].join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1)
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** The licence of Node and of every package that the bundle may hold, each under its name. */
export function thirdPartyLicenses(root: string, nodeLicense: string): string {
  const lock: { packages: Record<string, { dev?: boolean; version?: string; license?: string }> } =
    JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'))
  // A package for another platform is in the lock file and not here, and so not in the bundle.
  const bundled = Object.entries(lock.packages).filter(
    ([path, { dev }]) => path !== '' && !dev && existsSync(join(root, path)),
  )
  const parts = bundled.map(([path, { version, license }]) => {
    const name = `${path.replace(/^.*node_modules\//, '')} ${version} (${license ?? 'see below'})`
    return section(name, licenseTexts(join(root, path)))
  })
  return [section('Node.js', readFileSync(nodeLicense, 'utf8')), ...parts].join('\n')
}

function licenseTexts(folder: string): string {
  return readdirSync(folder)
    .filter((name) => /^(licen[cs]e|notice|copying)/i.test(name))
    .toSorted()
    .map((name) => readFileSync(join(folder, name), 'utf8').trim())
    .join('\n\n')
}

const section = (name: string, text: string): string =>
  `${'='.repeat(78)}\n${name}\n${'='.repeat(78)}\n\n${text.trim()}\n`
