import { describe, expect, test } from 'vitest'
import type { Flavour } from '../../../../src/targets/iptables/diff.ts'
import { IptablesDriver } from '../../../../src/targets/iptables/driver.ts'
import { FAMILIES, type Family } from '../../../../src/net/types.ts'
import { ToolError, type Run } from '../../../../src/system/exec.ts'
import { FakeRules } from '../../../support/kernel/fake-rules.ts'

const DOCKER = '*filter\n:DOCKER-USER - [0:0]\n-A FORWARD -j DOCKER-USER\nCOMMIT\n'
const OURS = [
  '*filter',
  ':EMBARGOD - [0:0]',
  '-A EMBARGOD -j DROP',
  '-A FORWARD -j EMBARGOD',
  '-A FORWARD -s 10.9.9.9/32 -j DROP',
  'COMMIT',
  '',
].join('\n')

/** A host with both flavours in its kernel. */
class TwoFlavours {
  readonly rules: Record<Flavour, Record<Family, FakeRules>> = { nft: fakes(), legacy: fakes() }
  /** What `iptables` is. */
  own: Flavour = 'nft'
  /** Tools that are not installed. */
  missing = /^$/
  /** nft's filter table holds native rules. */
  unreadable = false
  chains = ''
  readonly commands: string[] = []

  readonly driver = new IptablesDriver(
    (argv, options) => this.#run(argv, options),
    async (family) => [...this.rules.legacy[family].tables.keys()].map((table) => `${table}\n`).join(''),
  )

  readonly #run: Run = async ([tool, ...args], options = {}) => {
    this.commands.push(tool)
    const answer = (stdout: string) => ({ stdout, stderr: '', exitCode: 0 })
    if (this.missing.test(tool)) throw new ToolError(tool, 'missing', [tool], undefined, '', '')
    if (tool === 'iptables' && args[0] === '-V')
      return answer(`iptables v1.8.9 (${this.own === 'nft' ? 'nf_tables' : 'legacy'})\n`)
    if (tool === 'nft') return answer(this.chains)
    const [, program, flavour, verb] = /^(ip6?tables)-(nft|legacy)-(save|restore)$/.exec(tool) ?? []
    const rules = this.rules[flavour as Flavour][program === 'iptables' ? 4 : 6]
    if (verb === 'restore') {
      rules.restore(options.input ?? '')
      return answer('')
    }
    if (this.unreadable && flavour === 'nft')
      return answer("# Table `filter' is incompatible, use 'nft' tool.\n")
    return answer(rules.save())
  }
}

const fakes = (): Record<Family, FakeRules> => ({
  4: new FakeRules(4, () => undefined),
  6: new FakeRules(6, () => undefined),
})

const both = (rules: Record<Family, FakeRules>, text: string): void => {
  for (const family of FAMILIES) rules[family].restore(text)
}

describe('the flavour in use', () => {
  test.each([
    ["nft, where Docker's chains are", ['nft'], 'legacy', 'nft'],
    ["legacy, where Docker's chains are", ['legacy'], 'nft', 'legacy'],
    ['the one of `iptables`, where Docker has none', [], 'legacy', 'legacy'],
    ['the one of `iptables` after a change to legacy', ['nft', 'legacy'], 'legacy', 'legacy'],
    ['the one of `iptables` after a change to nft', ['nft', 'legacy'], 'nft', 'nft'],
  ] as const)('%s', async (_, docker, own, expected) => {
    const host = new TwoFlavours()
    host.own = own
    for (const flavour of docker) both(host.rules[flavour], DOCKER)
    expect(await host.driver.detect()).toBe(expected)
  })

  test('native rules in the filter table of nft hinder nobody who is on legacy, and are said to others', async () => {
    const host = new TwoFlavours()
    host.unreadable = true
    await expect(host.driver.detect()).rejects.toThrow(/native nft rules/)
    both(host.rules.legacy, DOCKER)
    expect(await host.driver.detect()).toBe('legacy')
  })

  test('legacy tools are asked for no table that does not exist: they would create it', async () => {
    const host = new TwoFlavours()
    await host.driver.detect()
    await host.driver.leftovers()
    expect(host.commands.filter((tool) => tool.includes('legacy'))).toEqual([])
  })

  test('is looked for again by the first reading after doubt', async () => {
    const host = new TwoFlavours()
    both(host.rules.nft, DOCKER)
    await host.driver.read()
    both(host.rules.legacy, DOCKER)
    host.own = 'legacy'
    await host.driver.read()
    expect(host.driver.flavour).toBe('nft')
    host.driver.doubt()
    expect(host.driver.flavour).toBe('nft')
    await host.driver.read()
    expect(host.driver.flavour).toBe('legacy')
  })
})

describe('rules of ours in the other flavour', () => {
  test.each(['nft', 'legacy'] as const)('%s: are taken away, and nothing else', async (other) => {
    const host = new TwoFlavours()
    const own = other === 'nft' ? 'legacy' : 'nft'
    both(host.rules[own], DOCKER + OURS)
    both(host.rules[other], OURS)
    const kept = host.rules[own][4].save()
    const { changes, problem } = await host.driver.leftovers()
    expect(problem).toBeUndefined()
    for (const change of changes) await host.driver.write(change)
    for (const family of FAMILIES) {
      const { tables } = host.rules[other][family]
      expect([...(tables.get('filter')?.keys() ?? [])].filter((name) => name.startsWith('EMB'))).toEqual([])
      expect(
        tables
          .get('filter')
          ?.get('FORWARD')
          ?.rules.map(({ text }) => text),
      ).toEqual(['-s 10.9.9.9/32 -j DROP'])
    }
    expect(host.rules[own][4].save()).toBe(kept)
    expect(await host.driver.leftovers()).toEqual({ changes: [], problem: undefined })
  })

  test('once there are none, nobody looks again until the flavour is in doubt', async () => {
    const host = new TwoFlavours()
    both(host.rules.legacy, DOCKER)
    await host.driver.leftovers()
    host.commands.length = 0
    await host.driver.leftovers()
    expect(host.commands).toEqual([])
    host.driver.doubt()
    await host.driver.leftovers()
    expect(host.commands).not.toEqual([])
  })

  test('that no tool of iptables can read are named, if they are ours', async () => {
    const host = new TwoFlavours()
    both(host.rules.legacy, DOCKER)
    host.unreadable = true
    host.chains = 'table ip filter {\n\tchain EMBARGOD {\n\t}\n}\n'
    expect((await host.driver.leftovers()).problem).toMatch(/iptables-nft.*cannot be taken away/)
    host.chains = 'table ip filter {\n\tchain FORWARD {\n\t}\n}\n'
    expect(await host.driver.leftovers()).toEqual({ changes: [], problem: undefined })
  })

  test('need no tool of a flavour that is not installed', async () => {
    const host = new TwoFlavours()
    host.missing = /-legacy-/
    both(host.rules.nft, DOCKER)
    both(host.rules.legacy, OURS)
    expect(await host.driver.leftovers()).toEqual({ changes: [], problem: undefined })
  })
})
