import type { Lab } from '../lab.ts'

/**
 * All that is ours in the kernel, as text without what counts or runs down: chains, rules, sets with their addresses, the
 * backstop, and which of our jumps stands first in its chain.
 */
export async function ours(lab: Lab): Promise<string> {
  const { stdout } = await lab.host(['sh', '-c', READ], { okExitCodes: [1] })
  const [rules = '', rules6 = '', sets = '', table = ''] = stdout.split('==\n')
  return [rulesOf(rules), rulesOf(rules6), setsOf(sets), withoutCounters(table)].join('==\n')
}

const READ = [
  'iptables-save',
  'ip6tables-save',
  'ipset save',
  'nft list table inet embargod-guard 2>/dev/null; nft list table inet embargod-held 2>/dev/null',
].join('; echo ==; ')

function rulesOf(text: string): string {
  const dockerUser = text.includes('-A FORWARD -j DOCKER-USER')
  const kept: string[] = []
  let place = 0
  let chain = ''
  let table = ''
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) table = line
    const [, name = ''] = /^-A (\S+) /.exec(line) ?? []
    place = name === chain ? place + 1 : 1
    chain = name
    if (!line.includes('EMBARGOD')) continue
    // Where somebody accepts packets ahead of DOCKER-USER our jump stands in FORWARD, and this one beside it.
    if (line.includes('where FORWARD did not approve it')) continue
    // Of a chain that is not ours only the first place is worth something; what stands below moves with others' rules.
    const first = name !== '' && !name.startsWith('EMBARGOD') && place === 1 ? 'first ' : ''
    // Either will do, as long as FORWARD leads there.
    const asked = name === 'FORWARD' || (name === 'DOCKER-USER' && dockerUser)
    const rule = asked ? line.replace(`-A ${name}`, '-A asked') : line
    kept.push(`${table} ${first}${withoutCounters(rule)}`)
  }
  return kept.join('\n')
}

/** What packets put into a set, or containers that the engine starts again with another address, comes and goes: it is left out. */
function setsOf(text: string): string {
  return (
    text
      .split('\n')
      .filter(
        (line) =>
          line.includes(' embargod-') && !/^add embargod-(denied|revoked|linger|containers)-/.test(line),
      )
      // The kernel makes a set larger as it likes.
      .map((line) => line.replace(/ (timeout|packets|bytes|hashsize|bucketsize|initval) [0-9a-fx]+/g, ''))
      .toSorted()
      .join('\n')
  )
}

const withoutCounters = (text: string): string =>
  text.replace(/\[\d+:\d+\]/g, '').replace(/counter packets \d+ bytes \d+/g, 'counter')
