import { classMark } from '../../config/marks.ts'
import type { Bindings } from '../../dataplane/model.ts'
import { BINDINGS_TABLE } from '../../dataplane/names.ts'
import { bytesOf } from '../../net/address.ts'
import { familyOf, type Address } from '../../net/types.ts'
import { AGAIN_SETS, againElement, chainsFor } from './rights-again.ts'
import { SETS } from './rules.ts'

export const SET_NAMES: ReadonlySet<string> = new Set([...Object.keys(SETS), ...Object.keys(AGAIN_SETS)])

export type BindingElements = ReadonlyMap<string, ReadonlySet<string>>

/**
 * Every element by its set, spelled as `nft` lists it; an element of a map has its value behind a colon.
 * @param rights the bits of packets' marks that hold the class
 */
export function elementsOf({ ports, gateways, spared }: Bindings, rights: number): BindingElements {
  const sets = new Map([...SET_NAMES].map((set) => [set, new Set<string>()]))
  const add = (set: string, ...parts: readonly string[]): void => void sets.get(set)?.add(parts.join(' . '))
  const take = (address: Address, more?: 'gatewayTargets6'): void => {
    const family = familyOf(address)
    add(`taken${family}`, address)
    if (family === 4) return
    add('takenTargets6', targetOf(address))
    if (more) add(more, targetOf(address))
  }
  for (const port of spared) add('spared', `"${port}"`)
  for (const address of gateways) take(address, 'gatewayTargets6')
  const marks = new Map<string, number>()
  for (const { port: name, mac, address, class: id } of ports) {
    const family = familyOf(address)
    const mark = classMark({ rights }, id)
    // Without quotes, nft does not accept a name that begins with a digit.
    const port = `"${name}"`
    add('ports', port)
    add('macs', port, mac)
    add('takenMacs', mac)
    add(`rights${family}`, port, mac, `${address} : ${hex(mark)}`)
    // Two ports that share both addresses and have different rights cannot be told apart there, so neither has any rights.
    const sender = `${mac} ${address}`
    const other = marks.get(sender)
    if (other !== undefined && other !== mark)
      sets.get(`again${family}`)?.delete(againElement(mac, address, other))
    else if (other === undefined) add(`again${family}`, againElement(mac, address, mark))
    marks.set(sender, other === undefined || other === mark ? mark : -1)
    take(address)
    add(`quotes${family}`, port, mac, family === 4 ? `${numberOf(address)}` : targetOf(address))
    if (family === 6) add('targets6', port, mac, targetOf(address))
  }
  return sets
}

/** nft lists 32 raw bits as one number. */
const numberOf = (address: Address): number =>
  bytesOf(address).reduce((number, byte) => number * 256 + byte, 0)

const targetOf = (address: Address): string =>
  `0x${bytesOf(address)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')}`

/** The transaction that turns one into the other; empty when they are the same. */
export function changeBindings(before: BindingElements, after: BindingElements, rights: number): string {
  const only = (these: BindingElements, those: BindingElements): BindingElements =>
    new Map(
      [...these].map(([set, values]) => [
        set,
        new Set([...values].filter((one) => !those.get(set)?.has(one))),
      ]),
    )
  const lines = [
    ...elementLines('delete', only(before, after), rights),
    ...elementLines('add', only(after, before), rights),
  ]
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`
}

export function elementLines(verb: 'add' | 'delete', elements: BindingElements, rights: number): string[] {
  return [...elements].flatMap(([set, values]) => {
    if (values.size === 0) return []
    const isAgain = Object.hasOwn(AGAIN_SETS, set)
    return [
      ...(isAgain && verb === 'add' ? chainsFor(values, rights) : []),
      `${verb} element ${isAgain ? 'inet' : 'bridge'} ${BINDINGS_TABLE} ${set} { ${[...values].join(', ')} }`,
    ]
  })
}

/** How many addresses are bound. */
export const addressesIn = (elements: BindingElements): number =>
  (elements.get('rights4')?.size ?? 0) + (elements.get('rights6')?.size ?? 0)

/** The class mark of each address. */
export function marksByAddress({ elements }: { readonly elements: BindingElements }): Map<Address, number> {
  const marks = new Map<Address, number>()
  for (const set of ['rights4', 'rights6']) {
    for (const element of elements.get(set) ?? []) {
      const [, address, mark] = / (\S+) : (0x[0-9a-f]+)$/.exec(element) ?? []
      if (address !== undefined) marks.set(address as Address, Number(mark))
    }
  }
  return marks
}

const hex = (value: number): string => `0x${value.toString(16).padStart(8, '0')}`
